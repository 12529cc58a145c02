/* See table_keys.h. */
#include "table_keys.h"

static const char *what_is_wrong(const struct table_keys *k, struct slice ikey)
{
    struct slice last = buf_slice(&k->last);
    if (last.len > 0 && ikey_compare(last, ikey) >= 0)
        return "its keys do not ascend";
    if ((last.len == 0 && k->smallest.len > 0 && ikey_compare(ikey, k->smallest) < 0) ||
        (k->largest.len > 0 && ikey_compare(ikey, k->largest) > 0))
        return "it has keys outside the range that the MANIFEST gives";
    return NULL;
}

bool table_keys_take(struct table_keys *k, struct slice ikey)
{
    if (!k->wrong)
        k->wrong = what_is_wrong(k, ikey);
    buf_set(&k->last, ikey);
    return !k->wrong;
}

void table_keys_free(struct table_keys *k)
{
    buf_free(&k->last);
}
