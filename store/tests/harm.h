/* What tests do to the files of a store, so that it is damaged. Where that cannot be
 * done it prints why and aborts (MUST of history.h). */
#ifndef STORE_TESTS_HARM_H
#define STORE_TESTS_HARM_H

#include "../env/env.h"
#include "../version/edit.h"
#include "../version/file_name.h"

/* The path of the file of a kind that has the lowest number in `dir`. free() it. */
char *harm_first_file(struct env *e, const char *dir, enum name_kind kind);
void harm_byte(struct env *e, const char *path, size_t at);
/* Appends one record to the MANIFEST of a store that is closed, as another writer of the format
 * would: the edit, and `behind` it what is no part of one. */
void harm_manifest(struct env *e, const char *dir, const struct edit *edit, struct slice behind);

/* The length of the uncompressed data block that begins at offset `at` of a table with these bytes;
 * the table does not say it, so the checksum behind the block has to tell. */
size_t harm_block_len(struct slice table, size_t at);
/* Puts the checksum of the block's `len` bytes, and of its type, behind them. */
void harm_seal_block(char *block, size_t len);

#endif
