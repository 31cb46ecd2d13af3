// SPDX-License-Identifier: Apache-2.0
#include "caisson/profile.h"

namespace caisson {

Profile Profile::Torch2_6() {
  Profile profile;
  profile.format_version = false;
  profile.storage_alignment = false;
  profile.numeric_order = false;
  return profile;
}

Profile Profile::Torch1_13() {
  Profile profile = Torch2_6();
  profile.byteorder = false;
  profile.serialization_id = false;
  return profile;
}

}  // namespace caisson
