/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the row macros of a .def file away again.
 */
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef TEXT
#undef BYTES
#undef BLOB
#undef END
