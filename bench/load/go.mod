module drover.dev/bench/load

go 1.23
