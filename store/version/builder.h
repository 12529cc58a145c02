/* Puts a version together: what one lists, changed by edits. One thread at a time, which holds the
 * set's lock where builder_finish is called. */
#ifndef STORE_VERSION_BUILDER_H
#define STORE_VERSION_BUILDER_H

#include "edit.h"

struct builder {
    struct table_file **files[VERSION_LEVELS];
    int count[VERSION_LEVELS];
};

/* Starts with what `base` lists (NULL: nothing). */
void builder_init(struct builder *b, const struct version *base);
/* Files that no version lists are freed. */
void builder_free(struct builder *b);
/* STORE_ECORRUPT where the edit deletes what is not there. */
int builder_apply(struct builder *b, const struct edit *e);
/* The version, with one reference and a reference on each file; STORE_ECORRUPT where tables of a
 * level overlap. */
int builder_finish(struct builder *b, struct version_set *set, struct version **out);

#endif
