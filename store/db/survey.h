/* Reading a table whole, to see what of it can be read. */
#ifndef STORE_DB_SURVEY_H
#define STORE_DB_SURVEY_H

#include "db.h"
#include "../table/table.h"

struct survey {
    int status; /* 0, or why nothing of it can be read, or no repair may touch it (STORE_EFORMAT) */
    uint64_t bad_blocks;
    uint64_t highest_sequence;
    char *finding; /* what is wrong, with the file and offset; NULL: nothing. free() it */
};

/* DIR/number.ldb, or .sst where that is what there is; on the heap. */
char *survey_path(struct store *s, uint64_t number);
/* What the MANIFEST says of a table's keys (internal keys); no data: it is not known. */
struct survey_range {
    struct slice smallest, largest;
};
struct survey_range survey_range_of(const struct table_file *f);
void survey_table(struct store *s, uint64_t number, struct survey_range range, struct survey *out);
/* Opens it for one who reads it whole. */
int survey_open(struct store *s, uint64_t number, struct table **out);

#endif
