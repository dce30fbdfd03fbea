// The keeper's files: keeper.pid, the exit record, and what it reads of /proc. No stdio: it would allocate.
#include "keeper.h"
#include <stdio.h> // renameat only
#include <sys/file.h>
#include <sys/mman.h>

// decimal writes v before end and returns where it begins: snprintf would pull in stdio and locales.
static char *decimal(char *end, uint64_t v)
{
	do *--end = (char)('0' + v % 10); while (v /= 10);
	return end;
}

// say reports text and errno as "text:errno\n" on fd; the numbers are read by people and by Start.
void say(int fd, const char *text, int err)
{
	char line[160], num[24];
	char *d = decimal(num + sizeof num, (uint64_t)err);
	size_t n = strnlen(text, 100), m = (size_t)(num + sizeof num - d);
	memcpy(line, text, n);
	line[n++] = ':';
	memcpy(line + n, d, m);
	n += m;
	line[n++] = '\n';
	if (write(fd, line, n) < 0) return;
}

// slurp reads a small file whole and ends it with a NUL; -1 when it cannot.
ssize_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return -1;
	size_t n = 0;
	while (n < size - 1) {
		ssize_t r = read(fd, buf + n, size - 1 - n);
		if (r < 0 && errno == EINTR) continue;
		if (r <= 0) break;
		n += (size_t)r;
	}
	close(fd);
	buf[n] = 0;
	return (ssize_t)n;
}

// start_time is field 22 of /proc/PID/stat, in clock ticks since boot; 0 when unknown (proc(5)). The command
// name may hold spaces and parentheses, so fields are counted from the last ')'.
uint64_t start_time(pid_t pid)
{
	char path[48], num[24], buf[1024];
	char *d = decimal(num + sizeof num, (uint64_t)pid);
	size_t n = (size_t)(num + sizeof num - d);
	memcpy(path, "/proc/", 6);
	memcpy(path + 6, d, n);
	memcpy(path + 6 + n, "/stat", 6);
	if (slurp(path, buf, sizeof buf) <= 0) return 0;
	char *p = strrchr(buf, ')');
	for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
	uint64_t v = 0;
	if (p)
		for (p++; *p >= '0' && *p <= '9'; p++) v = v * 10 + (uint64_t)(*p - '0');
	return v;
}

// map_ring opens, locks and maps Dir/exits. A ring left by a dead keeper goes on where it stopped. The space is
// allocated now: a page fault on a full disk would be SIGBUS. The lock keeps a pod from having two keepers.
const char *map_ring(void)
{
	k.ringfd = openat(k.dir, "exits", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (k.ringfd < 0) return "cannot open exits";
	if (flock(k.ringfd, LOCK_EX | LOCK_NB)) return "cannot lock exits";
	if ((errno = posix_fallocate(k.ringfd, 0, sizeof(struct ring)))) return "cannot allocate exits";
	k.ring = mmap(0, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, k.ringfd, 0);
	if (k.ring == MAP_FAILED) return "cannot map exits";
	if (k.ring->magic != MAGIC || k.ring->size != sizeof(struct record) || k.ring->count != RECORDS) {
		memset(k.ring, 0, sizeof *k.ring);
		k.ring->size = sizeof(struct record);
		k.ring->count = RECORDS;
		__atomic_store_n(&k.ring->magic, MAGIC, __ATOMIC_RELEASE);
	}
	return 0;
}

// write_pid makes Dir/keeper.pid, "pid start bootid\n", by rename: it is there whole or not at all.
const char *write_pid(void)
{
	char buf[128], boot[64], num[24];
	uint64_t part[2] = {(uint64_t)getpid(), start_time(getpid())};
	size_t n = 0;
	for (int i = 0; i < 2; i++) {
		char *d = decimal(num + sizeof num, part[i]);
		size_t m = (size_t)(num + sizeof num - d);
		memcpy(buf + n, d, m);
		n += m;
		buf[n++] = ' ';
	}
	ssize_t b = slurp("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	if (b <= 0) return "cannot read boot_id";
	memcpy(buf + n, boot, (size_t)b);
	n += (size_t)b;
	int fd = openat(k.dir, "keeper.pid.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, buf, n) != (ssize_t)n || close(fd)) return "cannot write keeper.pid";
	if (renameat(k.dir, "keeper.pid.tmp", k.dir, "keeper.pid")) return "cannot rename keeper.pid";
	return 0;
}
