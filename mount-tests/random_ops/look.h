/* Compares all of the mount with the oracle: names, types, modes, owners, links, sizes, bytes,
 * targets, attributes. */
#pragma once
#include "tree.h"
#include <stdio.h>

enum look {
    LOOK,        /* compare */
    LOOK_RECORD, /* and note inode numbers and times in the nodes */
    LOOK_COMPARE /* and compare these with what was noted */
};

/* Returns: how many differences; says each in out. */
int look(const char *dir, struct node *root, enum look how, FILE *out);
