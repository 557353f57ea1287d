/* SPDX-License-Identifier: Apache-2.0
 *
 * Defines the field macros so that including a .def file right after declares one struct per row, `struct msg_<name>`.
 * No include guard: it is included once for each table, and undone by wire/message_undef.h.
 */
/* clang-format off */
#define MESSAGE(upper, lower, number, ...) struct msg_##lower {
#define U8(name, least, most)    uint8_t name;
#define U16(name, least, most)   uint16_t name;
#define U32(name, least, most)   uint32_t name;
#define U64(name, least, most)   uint64_t name;
#define TEXT(name, least, most)  char name[(most) + 1];
#define BYTES(name, length)      uint8_t name[length];
#define BLOB(name, least, most)  MESSAGE_BLOB(most) name;
#define END(upper, lower)        };
/* clang-format on */
