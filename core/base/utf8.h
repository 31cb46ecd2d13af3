// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace caisson {

// True for UTF-8 (RFC 3629) in which surrogates U+D800 to U+DFFF may also
// stand as three bytes: Python's "surrogatepass".
bool IsUtf8SurrogatePass(std::string_view text);

// True for UTF-8 (RFC 3629), in which surrogates do not stand.
bool IsUtf8(std::string_view text);

// Each byte as the code point of its value, in UTF-8.
std::string Latin1ToUtf8(std::string_view bytes);

// The inverse; false if a code point exceeds 255 or the text is malformed.
bool Utf8ToLatin1(std::string_view text, std::string* bytes);

}  // namespace caisson
