// What the three C files of the keeper share: keeper.c is its life, store.c answers the supervisor, files.c has the
// files in the pod's directory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define NAME "pcompose-keeper"
#define MAGIC 0x3153544958454b50ull /* "PKEXITS1" */
#define LOG_LIMIT (1 << 20)

enum { KEYS = 2048, KEY_MAX = 128, FD_MAX = 4, RECORDS = 1024, ARGS = 256, SUPERVISOR_FD = 3, READY_FD = 3 };
enum { BACKOFF_FIRST = 50, BACKOFF_LAST = 5000, RESERVE = 8 };

// ring is the file Dir/exits; exits.go reads the same layout.
struct record { uint64_t seq, start; int32_t pid, status; int64_t at; };
struct ring { uint64_t magic; uint32_t size, count; uint64_t head, pad[5]; struct record rec[RECORDS]; };

// message is what the keeper sends: 'R' answers a request, 'W' says that record `number` was written.
struct message { char type, pad[3]; int32_t err; uint64_t number; char body[KEY_MAX]; };
#define HEADER offsetof(struct message, body)

struct entry { uint8_t len, n; char key[KEY_MAX]; int fd[FD_MAX]; };

extern struct keeper {
	char cmdline[1 << 16];
	char *argv[ARGS + 1];
	int dir, signals, ringfd, sock;
	struct ring *ring;
	pid_t supervisor;
	int64_t born, due, backoff, steady; // milliseconds of CLOCK_BOOTTIME
	int pending;                        // an answer that the socket had no room for
	struct message reply;
	size_t reply_len;
	int reply_fds[FD_MAX], reply_n;
	int used;
	struct entry table[KEYS];
} pcompose_keeper;
#define k pcompose_keeper

// Names are prefixed: they share the binary with every C library that is linked into it.
#define say pcompose_keeper_say
#define slurp pcompose_keeper_slurp
#define start_time pcompose_keeper_start_time
#define map_ring pcompose_keeper_map_ring
#define write_pid pcompose_keeper_write_pid
#define push pcompose_keeper_push
#define receive pcompose_keeper_receive
#define keep_socket pcompose_keeper_keep_socket

void say(int fd, const char *text, int err);
ssize_t slurp(const char *path, char *buf, size_t size);
uint64_t start_time(pid_t pid);
const char *map_ring(void);
const char *write_pid(void);
void push(void);
int receive(int hangup);
void keep_socket(int fd);
