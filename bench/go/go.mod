module herd

go 1.27
