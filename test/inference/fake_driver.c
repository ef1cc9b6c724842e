/* A CUDA driver without a GPU: device memory is memory of the CPU at another address, and work is
   done when it is queued. It counts what is left when the process ends, and refuses calls outside
   the context. Built by test_cuda_adapters.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
enum { OK = 0, INVALID = 1, NO_CONTEXT = 201, NOT_FOUND = 500, CAPTURING = 901 };

static int retained, allocations, streams, graphs, modules;
static __thread int depth;
static int capturing, recorded;
struct copy { void *to; const void *from; size_t size; };
static struct copy work[16];

#define NEEDS_CONTEXT if (!depth || !retained) return NO_CONTEXT

CUresult cuInit(unsigned flags) { return flags ? INVALID : OK; }
CUresult cuDriverGetVersion(int *version) { *version = 13000; return OK; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return OK; }
CUresult cuDeviceGet(int *device, int index) { *device = 100 + index; return OK; }
CUresult cuDeviceGetName(char *name, int size, int device) {
  (void)device;
  strncpy(name, "Fake GPU", (size_t)size);
  return OK;
}
CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 16 ? 16 : 0;
  return OK;
}
CUresult cuMemGetInfo_v2(size_t *left, size_t *total) {
  NEEDS_CONTEXT;
  *total = 1000000;
  *left = *total - 1000 * (size_t)allocations;
  return OK;
}
CUresult cuGetErrorName(CUresult code, const char **name) {
  *name = code == NO_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT" : "CUDA_ERROR_UNKNOWN";
  return OK;
}
CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
  if (device != 100) return INVALID;
  retained++;
  *context = &retained;
  return OK;
}
CUresult cuDevicePrimaryCtxRelease(int device) {
  if (device != 100 || !retained) return INVALID;
  retained--;
  return OK;
}
CUresult cuCtxPushCurrent(void *context) {
  if (context != &retained) return INVALID;
  depth++;
  return OK;
}
CUresult cuCtxPopCurrent(void **context) {
  if (!depth) return NO_CONTEXT;
  depth--;
  *context = &retained;
  return OK;
}
CUresult cuStreamCreate(void **stream, unsigned flags) {
  NEEDS_CONTEXT;
  if (flags != 1) return INVALID;
  streams++;
  *stream = (void *)(uintptr_t)(0x1000 + streams);
  return OK;
}
CUresult cuStreamDestroy(void *stream) { NEEDS_CONTEXT; (void)stream; streams--; return OK; }
CUresult cuStreamSynchronize(void *stream) {
  NEEDS_CONTEXT;
  (void)stream;
  return capturing ? CAPTURING : OK;
}
static CUresult take(void **place, size_t size) {
  NEEDS_CONTEXT;
  allocations++;
  *place = malloc(size);
  return *place ? OK : 2;
}
static CUresult give(void *place) { NEEDS_CONTEXT; allocations--; free(place); return OK; }
CUresult cuMemHostAlloc(void **place, size_t size, unsigned flags) {
  (void)flags;
  return take(place, size);
}
CUresult cuMemFreeHost(void *place) { return give(place); }
CUresult cuMemAlloc(uintptr_t *place, size_t size) { return take((void **)place, size); }
CUresult cuMemFree(uintptr_t place) { return give((void *)place); }
CUresult cuMemHostGetDevicePointer(uintptr_t *address, void *host, unsigned flags) {
  NEEDS_CONTEXT;
  *address = (uintptr_t)host;
  return flags ? INVALID : OK;
}
static CUresult copy(void *to, const void *from, size_t size) {
  NEEDS_CONTEXT;
  if (capturing) work[recorded++] = (struct copy){to, from, size};
  else memcpy(to, from, size);
  return OK;
}
CUresult cuMemcpyHtoDAsync(uintptr_t to, const void *from, size_t size, void *stream) {
  return stream ? copy((void *)to, from, size) : INVALID;
}
CUresult cuMemcpyDtoHAsync(void *to, uintptr_t from, size_t size, void *stream) {
  return stream ? copy(to, (const void *)from, size) : INVALID;
}
CUresult cuStreamBeginCapture(void *stream, int mode) {
  NEEDS_CONTEXT;
  if (!stream || mode != 1 || capturing) return INVALID;
  capturing = 1;
  recorded = 0;
  return OK;
}
CUresult cuStreamEndCapture(void *stream, void **graph) {
  if (!stream || !capturing) return INVALID;
  capturing = 0;
  graphs++;
  *graph = work;
  return OK;
}
CUresult cuGraphInstantiateWithFlags(void **run, void *graph, unsigned long long flags) {
  if (graph != work || flags) return INVALID;
  graphs++;
  *run = &recorded;
  return OK;
}
CUresult cuGraphLaunch(void *run, void *stream) {
  NEEDS_CONTEXT;
  if (run != &recorded || !stream) return INVALID;
  for (int i = 0; i < recorded; i++) memcpy(work[i].to, work[i].from, work[i].size);
  return OK;
}
CUresult cuGraphDestroy(void *graph) { (void)graph; graphs--; return OK; }
CUresult cuGraphExecDestroy(void *run) { (void)run; graphs--; return OK; }

/* Code of the device is the path of a library of launch_ functions for the CPU. */
CUresult cuModuleLoadData(void **module, const void *image) {
  NEEDS_CONTEXT;
  modules++;
  *module = dlopen(image, RTLD_LAZY);
  return *module ? OK : 200;
}
CUresult cuModuleUnload(void *module) { NEEDS_CONTEXT; (void)module; modules--; return OK; }
CUresult cuModuleGetFunction(void **function, void *module, const char *name) {
  char symbol[64];
  snprintf(symbol, sizeof symbol, "launch_%s", name);
  *function = dlsym(module, symbol);
  return *function ? OK : NOT_FOUND;
}
CUresult cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shared, void *stream, void **arguments,
                        void **extra) {
  NEEDS_CONTEXT;
  if (gz != 1 || bz != 1 || shared || !stream || extra) return INVALID;
  ((void (*)(void **, int, int))function)(arguments, (int)(gx * bx), (int)(gy * by));
  return OK;
}

CUresult cuGetProcAddress_v2(const char *name, void **place, int version, uint64_t flags, int *s) {
  (void)version;
  (void)flags;
  static void *self;
  if (!self) {
    Dl_info info;
    dladdr((void *)cuInit, &info);
    self = dlopen(info.dli_fname, RTLD_LAZY);
  }
  *place = dlsym(self, strcmp(name, "cuGetProcAddress") ? name : "cuGetProcAddress_v2");
  if (s) *s = *place ? 0 : 1;
  return *place ? OK : NOT_FOUND;
}
CUresult cuGetProcAddress(const char *name, void **place, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, place, version, flags, 0);
}

__attribute__((destructor)) static void report(void) {
  printf("left: %d contexts, %d allocations, %d streams, %d graphs, %d modules\n", retained,
         allocations, streams, graphs, modules);
}
