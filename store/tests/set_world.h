/* A version set on a simulated disk of its own, without a store around it, and tables for it.
 *
 * What should never fail here ends the process with a line that says where (MUST of history.h).
 * For one thread; several take `mu` around calls of the set themselves. */
#ifndef STORE_TESTS_SET_WORLD_H
#define STORE_TESTS_SET_WORLD_H

#include <pthread.h>

#include "../memtable/key_format.h"
#include "../version/version_set.h"

#define WORLD_DIR "/db"

struct world {
    struct env *env;
    pthread_mutex_t mu;
    struct table_cache *tables;
    struct version_set set;
};

/* A new set with a new disk below it, and the end of both. */
struct world *world_new(void);
void world_free(struct world *w);
/* Brings up a set on what the disk holds; the result of set_open. world_close() follows in any
 * case. */
int world_open(struct world *w, struct env *env);
void world_close(struct world *w);
/* Both, where opening must succeed. */
void world_reopen(struct world *w);

int world_roll(struct world *w);
int world_apply(struct world *w, struct edit *e); /* frees the edit */
void world_delete_obsolete(struct world *w);

/* The current version as text; the caller frees it. */
char *world_text(const struct version_set *set);
/* Is that its text? Never where `text` is NULL. */
bool world_shows(const struct version_set *set, const char *text);

/* ---- tables */

struct world_entry {
    int key;
    uint64_t sequence;
    enum key_type type;
};

struct slice world_key(int key, char room[16]);
/* For qsort: in the order of a table. */
int world_entry_order(const void *a, const void *b);
/* Writes a table and adds it to the edit; its number. Sorts the entries. A put's value is its
 * sequence number as text. */
uint64_t world_add_table(struct world *w, struct edit *e, int level, struct world_entry *entries,
                         int n);
/* One table with keys first..last (32 at most) and numbers from `sequence` on, applied at once. */
uint64_t world_apply_table(struct world *w, int level, int first, int last, uint64_t sequence);
bool world_has_table(struct world *w, uint64_t number);
/* version_get in the current version; `value` gets the text of what is there, or the empty one. */
int world_get(struct world *w, int key, uint64_t sequence, char *value, size_t room);

#endif
