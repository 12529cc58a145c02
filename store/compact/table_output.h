/* A new table under way, for flush, recovery and compaction. One thread. */
#ifndef STORE_COMPACT_TABLE_OUTPUT_H
#define STORE_COMPACT_TABLE_OUTPUT_H

#include "../db/db.h"
#include "../table/table_builder.h"

struct table_output {
    struct store *store;
    uint64_t number;
    char *path;
    struct env_file *file;
    struct table_builder *builder;
    struct buf smallest;
};

int table_output_start(struct table_output *o, struct store *s, uint64_t number);
/* The next table begins with this key, which is no version of the last one's: it is large enough,
 * or what follows is of another kind (options.table_prefix). */
bool table_output_ends_before(const struct table_output *o, struct slice ikey);
int table_output_add(struct table_output *o, struct slice ikey, struct slice value);
/* Writes the rest, syncs the file (not its directory entry), and notes it in `e` as a table of
 * `level`. */
int table_output_finish(struct table_output *o, struct edit *e, int level);
/* After finish, or instead of it (then the file is deleted). */
void table_output_end(struct table_output *o, bool keep);

#endif
