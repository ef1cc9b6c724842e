// Appended to the source of the kernels: runs them on the CPU, one thread after the other. The
// first two are called by test_cuda_kernels.py, the launch_ ones by fake_driver.c.
extern "C" void host_prepare(const byte *image, void *tensor, const Prepare *p) {
  for (host_y = 0; host_y < p->target_height + 3; host_y++)
    for (host_x = 0; host_x < p->target_width + 3; host_x++) prepare(image, tensor, *p);
}
extern "C" void host_publish(const float *map, const float *score, const byte *far,
                             const byte *colours, float *depth, float *sigma, unsigned *cloud,
                             const Publish *p) {
  for (host_y = 0; host_y < p->height + 3; host_y++)
    for (host_x = 0; host_x < p->width + 3; host_x++)
      publish(map, score, far, colours, depth, sigma, cloud, *p);
}
extern "C" void host_finish(const float *depth, const float *sigma, float *cells,
                            const byte *colours, float *kept_depth, float *kept_sigma,
                            unsigned *cloud, const Finish *p) {
  for (host_y = 0; cells && host_y < p->height; host_y++)
    for (host_x = 0; host_x < p->width; host_x++) calm(depth, sigma, cells, *p);
  for (host_y = 0; host_y < p->height + 3; host_y++)
    for (host_x = 0; host_x < p->width + 3; host_x++)
      finish(depth, sigma, cells, colours, kept_depth, kept_sigma, cloud, *p);
}
extern "C" int size_of_finish() { return sizeof(Finish); }
extern "C" int size_of_prepare() { return sizeof(Prepare); }
extern "C" int size_of_publish() { return sizeof(Publish); }

template <class T> static T value(void *place) { return *(T *)place; }

extern "C" void launch_prepare(void **a, int width, int height) {
  for (host_y = 0; host_y < height; host_y++)
    for (host_x = 0; host_x < width; host_x++)
      prepare(value<const byte *>(a[0]), value<void *>(a[1]), value<Prepare>(a[2]));
}
extern "C" void launch_publish(void **a, int width, int height) {
  for (host_y = 0; host_y < height; host_y++)
    for (host_x = 0; host_x < width; host_x++)
      publish(value<const float *>(a[0]), value<const float *>(a[1]), value<const byte *>(a[2]),
              value<const byte *>(a[3]), value<float *>(a[4]), value<float *>(a[5]),
              value<unsigned *>(a[6]), value<Publish>(a[7]));
}
extern "C" void launch_calm(void **a, int width, int height) {
  for (host_y = 0; host_y < height; host_y++)
    for (host_x = 0; host_x < width; host_x++)
      calm(value<const float *>(a[0]), value<const float *>(a[1]), value<float *>(a[2]),
           value<Finish>(a[3]));
}
extern "C" void launch_finish(void **a, int width, int height) {
  for (host_y = 0; host_y < height; host_y++)
    for (host_x = 0; host_x < width; host_x++)
      finish(value<const float *>(a[0]), value<const float *>(a[1]), value<const float *>(a[2]),
             value<const byte *>(a[3]), value<float *>(a[4]), value<float *>(a[5]),
             value<unsigned *>(a[6]), value<Finish>(a[7]));
}
