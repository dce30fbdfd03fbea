// The keeper's file store: one request, one answer, over the supervisor's SOCK_SEQPACKET socket. Nothing a
// supervisor sends, or stops in the middle of, may end the keeper.
#include "keeper.h"
#include <sys/resource.h>
#include <sys/socket.h>

// push sends k.reply; without room it stays pending, and no request is read until it is gone. So the keeper
// never blocks on a supervisor that is stopped. Any other failure becomes an error answer without files.
void push(void)
{
	union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int) * FD_MAX)]; } c;
	struct iovec io = {&k.reply, k.reply_len};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
	size_t bytes = sizeof(int) * (size_t)k.reply_n;
	if (k.reply_n) {
		memset(&c, 0, sizeof c);
		m.msg_control = c.b;
		m.msg_controllen = CMSG_SPACE(bytes);
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&c.h), k.reply_fds, bytes);
	}
	k.pending = 0;
	if (sendmsg(k.sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return;
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) {
		k.pending = 1;
	} else if (k.reply_n) {
		k.reply.err = errno;
		k.reply_n = 0;
		k.reply_len = HEADER;
		push();
	}
}

static struct entry *lookup(const char *key, size_t len)
{
	for (int i = 0; i < k.used; i++)
		if (k.table[i].len == len && !memcmp(k.table[i].key, key, len)) return &k.table[i];
	return 0;
}

static void close_all(const int *fd, int n)
{
	while (n > 0) close(fd[--n]);
}

// put stores files under a key, in place of what was there. Some numbers stay free for the socket of the next
// supervisor and for /proc, or a full table would end supervision.
static int put(const char *key, size_t len, const int *fd, int n)
{
	struct rlimit lim;
	if (!len || len > KEY_MAX || n < 1 || n > FD_MAX) return EINVAL;
	if (!getrlimit(RLIMIT_NOFILE, &lim))
		for (int i = 0; i < n; i++)
			if ((rlim_t)fd[i] + RESERVE >= lim.rlim_cur) return EMFILE;
	struct entry *e = lookup(key, len);
	if (!e) {
		if (k.used == KEYS) return ENOSPC;
		e = &k.table[k.used++];
		e->len = (uint8_t)len;
		memcpy(e->key, key, len);
	} else {
		close_all(e->fd, e->n);
	}
	e->n = (uint8_t)n;
	memcpy(e->fd, fd, sizeof(int) * (size_t)n);
	memcpy(k.reply.body, fd, sizeof(int) * (size_t)n);
	k.reply_len = HEADER + sizeof(int) * (size_t)n;
	return 0;
}

// keep_socket holds the control socket from the start: a client may connect before the first supervisor runs.
void keep_socket(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	put("control", sizeof "control" - 1, &fd, 1);
}

// drop closes a key's files; the last entry takes its place, which no listing sees: the client lists in one go.
static int drop(const char *key, size_t len)
{
	struct entry *e = lookup(key, len);
	if (!e) return 0;
	close_all(e->fd, e->n);
	*e = k.table[--k.used];
	return 0;
}

// get answers entry number i with its files; ENOENT is the end of the list.
static int get(const char *arg, size_t len)
{
	uint32_t i;
	if (len != sizeof i) return EINVAL;
	memcpy(&i, arg, sizeof i);
	if (i >= (uint32_t)k.used) return ENOENT;
	struct entry *e = &k.table[i];
	memcpy(k.reply.body, e->key, e->len);
	k.reply_len = HEADER + e->len;
	memcpy(k.reply_fds, e->fd, sizeof e->fd);
	k.reply_n = e->n;
	return 0;
}

static void answer(const char *buf, size_t n, int *fd, int nfd)
{
	int err = EINVAL, kept = 0;
	memset(&k.reply, 0, sizeof k.reply);
	k.reply.type = 'R';
	k.reply_len = HEADER;
	k.reply_n = 0;
	switch (buf[0]) {
	case 'P': err = put(buf + 1, n - 1, fd, nfd); kept = !err; break;
	case 'D': err = drop(buf + 1, n - 1); break;
	case 'G': err = get(buf + 1, n - 1); break;
	case 'H': // the ring, so that the supervisor need not know the directory
		k.reply_fds[0] = k.ringfd;
		k.reply_n = 1;
		err = 0;
		break;
	case 'Q': // whatever still runs goes to init or the next subreaper above us
		if (n != 1) break;
		unlinkat(k.dir, "keeper.pid", 0);
		_exit(0);
	}
	if (!kept) close_all(fd, nfd);
	k.reply.err = err;
	push();
}

// receive takes one message; 0 when there is none, -1 when the other end is gone. Too many files, or no free
// number for them (then the kernel cuts the list, MSG_CTRUNC, unix(7)), refuses the whole message.
int receive(int hangup)
{
	char buf[1 + KEY_MAX + 1];
	union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int) * (FD_MAX + 2))]; } c;
	struct iovec io = {buf, sizeof buf};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = c.b, .msg_controllen = sizeof c.b};
	int fd[FD_MAX + 2], nfd = 0;
	ssize_t n = recvmsg(k.sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) return errno == EAGAIN ? 0 : errno == EINTR || errno == ECONNRESET ? 1 : -1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
		int got = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (int i = 0; i < got; i++) {
			int v;
			memcpy(&v, CMSG_DATA(h) + sizeof v * (size_t)i, sizeof v);
			if (nfd < FD_MAX + 2) fd[nfd++] = v; else close(v);
		}
	}
	if (!n && !nfd) return hangup ? -1 : 1;
	if (!n || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		close_all(fd, nfd);
		memset(&k.reply, 0, sizeof k.reply);
		k.reply.type = 'R';
		k.reply.err = m.msg_flags & MSG_CTRUNC && nfd <= FD_MAX ? EMFILE : EINVAL;
		k.reply_len = HEADER;
		k.reply_n = 0;
		push();
		return 1;
	}
	answer(buf, (size_t)n, fd, nfd);
	return 1;
}
