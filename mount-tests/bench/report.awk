# The table of bench.sh, from its CSV: medians, and the rounds' ratios of skeinfs, uring and writeback to their peers.
BEGIN { FS = "," }
NR == 1 { next }
{
    row = $3 "," $4
    if (!(row in seen)) { seen[row] = 1; rows[++row_count] = row }
    if (!($2 in known)) { known[$2] = 1; systems[++system_count] = $2 }
    value[row, $2, $1] = $5
    if ($1 > rounds) rounds = $1
}
function sort_values(n, i, j, t) {
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
}
# Each of ours beside the peers, its own floor and, another way of mounting, the usual one.
function find_pairs(i, s, ours, floor) {
    split("skeinfs uring writeback", ours, " ")
    split("null null-uring null-writeback", floor, " ")
    for (i = 1; i <= 3; i++)
        for (s = 1; s <= system_count; s++) {
            if (!(ours[i] in known) || systems[s] == ours[i] || systems[s] == "uring" || systems[s] == "writeback") continue
            if (systems[s] ~ /^null/ && systems[s] != floor[i]) continue
            mine[++pair_count] = ours[i]
            peer[pair_count] = systems[s]
        }
}
function median(n) { return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2 }
function number(x) { return sprintf(x < 10 ? "%.2f" : x < 100000 ? "%.0f" : "%.3g", x) }
END {
    line = sprintf("%-20s %5s", "operation", "procs")
    for (s = 1; s <= system_count; s++) line = line sprintf(" %10s", systems[s])
    find_pairs()
    for (i = 1; i <= pair_count; i++) line = line sprintf("  %-21s", mine[i] "/" peer[i])
    print line
    for (r = 1; r <= row_count; r++) {
        split(rows[r], part, ",")
        line = sprintf("%-20s %5s", part[1], part[2])
        for (s = 1; s <= system_count; s++) {
            n = 0
            for (i = 1; i <= rounds; i++) if ((rows[r], systems[s], i) in value) list[++n] = value[rows[r], systems[s], i] + 0
            sort_values(n)
            line = line sprintf(" %10s", n ? number(median(n)) : "-")
        }
        for (k = 1; k <= pair_count; k++) {
            n = 0
            for (i = 1; i <= rounds; i++)
                if ((rows[r], peer[k], i) in value && (rows[r], mine[k], i) in value && value[rows[r], peer[k], i] > 0)
                    list[++n] = value[rows[r], mine[k], i] / value[rows[r], peer[k], i]
            sort_values(n)
            line = line (n ? sprintf("  %5.2f (%.2f .. %.2f)", median(n), list[1], list[n]) : sprintf("  %-21s", "-"))
        }
        print line
    }
}
