# Our rate over theirs, each workload: ratios.dat of bench-store -> ratios.png. Run in the folder of ratios.dat.
set terminal pngcairo size 1400,600
set output "ratios.png"
set style data histograms
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.7 noborder
set logscale y 2
set ylabel "operations a second: ours / theirs"
set xtics rotate by -40 noenhanced
set grid y
set key top left
set bmargin 8
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2
plot "ratios.dat" using 2:3:4:xtic(1) title "LevelDB", "" using 5:6:7 title "RocksDB"
