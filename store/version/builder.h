/* Puts a version together: what one lists, changed by edits. One thread at a time, whose base stays
 * referenced meanwhile; no lock needed.
 *
 * A MANIFEST may hold thousands of edits over thousands of tables, so an edit costs what it names
 * and not what there is: tables are found by their number through a hash, what an edit takes out
 * leaves a hole, and order is made once, in builder_finish. */
#ifndef STORE_VERSION_BUILDER_H
#define STORE_VERSION_BUILDER_H

#include "edit.h"

struct builder_level {
    struct table_file **files; /* NULL: taken out */
    int count, room;
    int sorted; /* the first ones, which the base listed: they are in order */
};

/* Where (level, number) stands in its level. Open addressing, a power of two. */
struct builder_slot {
    uint64_t number;
    int level;
    int at; /* index + 1; 0: free; -1: was taken out */
};

struct builder {
    struct builder_level level[VERSION_LEVELS];
    struct builder_slot *slots; /* made with the first edit */
    size_t slot_count, slots_used;
};

/* Starts with what `base` lists (NULL: nothing). */
void builder_init(struct builder *b, const struct version *base);
/* Files that no version lists are freed. */
void builder_free(struct builder *b);
/* STORE_ECORRUPT where the edit deletes what is not there, or adds what is. */
int builder_apply(struct builder *b, const struct edit *e);
/* The version, with one reference and a reference on each file; STORE_ECORRUPT where tables of a
 * level overlap. */
int builder_finish(struct builder *b, struct version_set *set, struct version **out);

#endif
