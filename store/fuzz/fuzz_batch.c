/* Any bytes as a batch: what passes the check goes into a memtable, record for record. */
#include <stdlib.h>
#include "../commit/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rep = slice_of(data, size);
    struct buf text = BUF_INIT;
    if (batch_check(rep) == 0) {
        struct memtable *m = memtable_new();
        if (batch_insert(rep, batch_rep_sequence(rep), m) ||
            memtable_count(m) != batch_rep_count(rep))
            abort();
        memtable_unref(m);
    }
    batch_to_text(rep, &text);
    buf_free(&text);
    return 0;
}
