/* The defaults of struct store_options, and the bounds within which they make sense. */
#include "options.h"

void store_options_init(struct store_options *o)
{
    *o = (struct store_options){
        .create_if_missing = true,
        .memtable_bytes = 4u << 20,
        .max_immutables = 2,
        .block_bytes = 4096,
        .restart_interval = 16,
        .table_bytes = 2u << 20,
        .cache_bytes = 8u << 20,
        .max_open_tables = 1000,
        .table_cache_bytes = 64u << 20,
        .manifest_bytes = 1u << 20,
        .bloom_bits = 10,
        .compression = STORE_COMPRESS_SNAPPY,
        .level_base_bytes = 10u << 20,
        .l0_compact = 4,
        .write_delay = STORE_DELAY_SMOOTH,
        .debt_soft_bytes = 1ull << 30,
        .debt_hard_bytes = 4ull << 30,
        .l0_slow = 8,
        .l0_stop = 12,
        .compaction_threads = 2,
        .commit_siblings = 5,
        .cohort_wait = true,
        .zero_ahead_bytes = 1u << 20,
        .log_window_bytes = 128u << 10,
        .max_unsynced_bytes = 32u << 20,
        .reserve_bytes = STORE_RESERVE_AUTO,
    };
}

static void raise_to(size_t *value, size_t least)
{
    if (*value < least)
        *value = least;
}

static void raise_int(int *value, int least)
{
    if (*value < least)
        *value = least;
}

void options_sanitize(struct store_options *o)
{
    raise_to(&o->memtable_bytes, 4096);
    raise_to(&o->block_bytes, 256);
    raise_to(&o->table_bytes, 4096);
    raise_to(&o->manifest_bytes, 1);
    raise_to(&o->level_base_bytes, o->table_bytes);
    raise_int(&o->max_immutables, 1);
    raise_int(&o->restart_interval, 1);
    raise_int(&o->max_open_tables, 16);
    raise_to(&o->table_cache_bytes, 1 << 20);
    raise_int(&o->bloom_bits, 0);
    raise_int(&o->l0_compact, 1);
    raise_int(&o->l0_slow, o->l0_compact);
    raise_int(&o->l0_stop, o->l0_slow + 1);
    if (o->debt_hard_bytes && o->debt_hard_bytes < o->debt_soft_bytes)
        o->debt_hard_bytes = o->debt_soft_bytes;
    raise_int(&o->compaction_threads, 1);
    if (!o->env)
        o->env = env_posix();
    if (o->read_only) { /* nothing is made, and nothing is to fill the memory */
        o->create_if_missing = false;
        o->reserve_bytes = 0;
        o->l0_compact = o->l0_slow = 1 << 20;
        o->l0_stop = o->l0_slow + 1;
        o->level_base_bytes = SIZE_MAX;
    }
}
