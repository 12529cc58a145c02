/* Any bytes as a MANIFEST record: what is taken says the same again when it is written and read. */
#include <stdlib.h>
#include "../version/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct edit a, b;
    struct buf once = BUF_INIT, twice = BUF_INIT;
    edit_init(&a);
    edit_init(&b);
    if (edit_decode(&a, slice_of(data, size)) == 0) {
        edit_encode(&a, &once);
        if (edit_decode(&b, buf_slice(&once)))
            abort();
        edit_encode(&b, &twice);
        if (!slice_equal(buf_slice(&once), buf_slice(&twice)))
            abort();
    }
    edit_free(&a);
    edit_free(&b);
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
