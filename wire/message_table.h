/* SPDX-License-Identifier: Apache-2.0
 *
 * Defines the field macros so that including a .def file right after defines one field list per row,
 * `<name>_fields[]`. No include guard: see wire/message_struct.h.
 */
/* clang-format off */
#define MESSAGE(upper, lower, number, ...) static const struct field lower##_fields[] = {
#define U8(name, least, most)    {#name, FIELD_U8, (least), (most)},
#define U16(name, least, most)   {#name, FIELD_U16, (least), (most)},
#define U32(name, least, most)   {#name, FIELD_U32, (least), (most)},
#define U64(name, least, most)   {#name, FIELD_U64, (least), (most)},
#define TEXT(name, least, most)  {#name, FIELD_TEXT, (least), (most)},
#define BYTES(name, length)      {#name, FIELD_BYTES, (length), (length)},
#define BLOB(name, least, most)  {#name, FIELD_BLOB, (least), (most)},
#define END(upper, lower)        {NULL, FIELD_U8, 0, 0}};
/* clang-format on */
