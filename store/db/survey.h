/* Reading a table whole, to see what of it can be read. */
#ifndef STORE_DB_SURVEY_H
#define STORE_DB_SURVEY_H

#include "db.h"
#include "../table/table.h"

struct survey {
    struct table *table; /* NULL: nothing can be read; else table_close() it */
    uint64_t bad_blocks;
    uint64_t highest_sequence;
    char *finding; /* what is wrong, with the file and offset; NULL: nothing. free() it */
};

/* DIR/number.ldb, or .sst where that is what there is; on the heap. */
char *survey_path(struct store *s, uint64_t number);
void survey_table(struct store *s, uint64_t number, struct survey *out);

#endif
