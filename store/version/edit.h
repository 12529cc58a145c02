/* One change of the set of tables; what a MANIFEST record says. One thread at a time. */
#ifndef STORE_VERSION_EDIT_H
#define STORE_VERSION_EDIT_H

#include "edit_format.h"
#include "version.h"

struct edit_file {
    int level;
    uint64_t number, size;
    struct buf smallest, largest; /* internal keys; empty for a deleted file */
    bool plain;                   /* as in struct table_file; not written down */
};
struct edit {
    bool has_comparator, has_log_number, has_prev_log, has_next_file, has_last_sequence;
    struct buf comparator;
    uint64_t log_number, prev_log, next_file, last_sequence;
    struct buf compact_pointer[VERSION_LEVELS]; /* empty: not set */
    struct edit_file *added, *deleted;
    int added_count, deleted_count;
};

void edit_init(struct edit *e);
void edit_free(struct edit *e);
void edit_add_file(struct edit *e, int level, uint64_t number, uint64_t size, struct slice smallest,
                   struct slice largest);
void edit_delete_file(struct edit *e, int level, uint64_t number);
void edit_encode(const struct edit *e, struct buf *out);
/* 0, STORE_ECORRUPT or STORE_EFORMAT. `e` is fresh from edit_init; edit_free it in any case. */
int edit_decode(struct edit *e, struct slice in);
void edit_to_text(const struct edit *e, struct buf *out);

#endif
