package special

import "slices"

// Service reports whether a port, of 1024 and more, is one at which something listens that trusts its network, or does what its first
// line says: no stranger's data connection of FTP is to come there, from whom that service knows. The list cannot be whole.
func Service(port int) bool { return slices.Contains(services, port) }

var services = []int{
	1080, 1433, 1521, 2049, 2375, 2376, 2379, 2380, 2525, 3000, 3128, 3306, 3389, 4190, 4369, 5000, 5432, 5672, 5900, 5901, 5984, 5985, 5986,
	6000, 6379, 6443, 8000, 8008, 8080, 8081, 8086, 8443, 8500, 8888, 9000, 9042, 9090, 9091, 9092, 9100, 9200, 9300, 10250, 11211, 15672, 27017,
}
