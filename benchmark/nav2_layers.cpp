// The update of Nav2's obstacle and voxel layer without the ROS around it, for nav2_layers.py.
//
// `layers.inc` and `voxel_layer.inc` hold the bodies of the layers' own functions, cut out of a
// checkout of Nav2 at build time; this file declares what they use. Costmap2D, the ray tracing and
// the voxel grid are compiled from the checkout as they are.
//
// In: doubles; first the grid (cells x, y, resolution, origin x, y), heights of both layers,
// origin, height and number of voxels, mark threshold. Then per update four clouds: marks and rays
// of the obstacle layer, marks and rays of the voxel layer. Out: both costmaps, a byte per cell.

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nav2_costmap_2d/cost_values.hpp"
#include "nav2_costmap_2d/costmap_2d.hpp"
#include "nav2_costmap_2d/observation.hpp"
#include "nav2_util/raytrace_line_2d.hpp"
#include "nav2_voxel_grid/voxel_grid.hpp"
#include "sensor_msgs/msg/point_cloud2.hpp"
#include "sensor_msgs/point_cloud2_iterator.hpp"

namespace nav2_msgs::msg
{
struct Triple { double x, y, z; };
struct Stamped { std::string frame_id; int stamp; };
struct VoxelGrid
{
  unsigned int size_x, size_y, size_z;
  std::vector<unsigned int> data;
  Triple origin, resolutions;
  Stamped header;
};
}  // namespace nav2_msgs::msg

struct Clock { int now() {return 0;} };
struct Node { int count_subscribers(const char *) {return 0;} };
template<class Message>
struct Publisher { void publish(std::unique_ptr<Message>) {} };

namespace nav2_costmap_2d
{
using Observations = std::vector<Observation::ConstSharedPtr>;

struct ObstacleLayer : public Costmap2D
{
  using Costmap2D::Costmap2D;
  double min_obstacle_height_ = 0.0, max_obstacle_height_ = 0.0;
  bool rolling_window_ = false, enabled_ = true;
  rclcpp::Logger logger_;
  Observations marks, rays;
  std::string global_frame_;
  std::shared_ptr<Node> node = std::make_shared<Node>();
  std::weak_ptr<Node> node_ = node;
  std::shared_ptr<Clock> clock_ = std::make_shared<Clock>();

  void updateOrigin(double, double) override {}
  void useExtraBounds(double *, double *, double *, double *) {}
  void setCurrent(bool) {}
  void updateFootprint(double, double, double, double *, double *, double *, double *) {}
  bool getMarkingObservations(Observations & out) const {out = marks; return true;}
  bool getClearingObservations(Observations & out) const {out = rays; return true;}
  void touch(double, double, double *, double *, double *, double *) {}
  virtual void updateBounds(double, double, double, double *, double *, double *, double *);
  virtual void raytraceFreespace(const Observation &, double *, double *, double *, double *);
  void updateRaytraceBounds(
    double, double, double, double, double, double, double *, double *, double *, double *);

  void print() {fwrite(costmap_, 1, static_cast<size_t>(size_x_) * size_y_, stdout);}
};

struct VoxelLayer : public ObstacleLayer
{
  VoxelLayer(unsigned int x, unsigned int y, double pitch, double low_x, double low_y, int levels)
  : ObstacleLayer(x, y, pitch, low_x, low_y, FREE_SPACE), voxel_grid_(x, y, levels),
    size_z_(levels) {}
  bool publish_voxel_ = false;
  std::shared_ptr<Publisher<nav2_msgs::msg::VoxelGrid>> voxel_pub_;
  std::shared_ptr<Publisher<sensor_msgs::msg::PointCloud2>> clearing_endpoints_pub_;
  nav2_voxel_grid::VoxelGrid voxel_grid_;
  double z_resolution_ = 0.0, origin_z_ = 0.0;
  int unknown_threshold_ = 0, mark_threshold_ = 0, size_z_;

  void updateBounds(double, double, double, double *, double *, double *, double *) override;
  void raytraceFreespace(const Observation &, double *, double *, double *, double *) override;
#include "voxel_layer.inc"
};

#include "layers.inc"
}  // namespace nav2_costmap_2d

namespace
{
double next()
{
  double value;
  if (fread(&value, sizeof(value), 1, stdin) != 1) {
    exit(0);
  }
  return value;
}

// Origin, height band, ranges, count and points; the band is ObservationBuffer's.
nav2_costmap_2d::Observation::ConstSharedPtr cloud()
{
  auto seen = std::make_shared<nav2_costmap_2d::Observation>();
  seen->origin_.x = next();
  seen->origin_.y = next();
  seen->origin_.z = next();
  const double low = next(), high = next();
  seen->obstacle_max_range_ = next();
  seen->obstacle_min_range_ = next();
  seen->raytrace_max_range_ = next();
  seen->raytrace_min_range_ = next();
  std::vector<float> kept;
  for (int left = static_cast<int>(next()); left > 0; --left) {
    const float x = next(), y = next(), z = next();
    if (z <= high && z >= low) {
      kept.insert(kept.end(), {x, y, z});
    }
  }
  sensor_msgs::PointCloud2Modifier modifier(seen->cloud_);
  modifier.setPointCloud2FieldsByString(1, "xyz");
  modifier.resize(kept.size() / 3);
  sensor_msgs::PointCloud2Iterator<float> x(seen->cloud_, "x"), y(seen->cloud_, "y"),
  z(seen->cloud_, "z");
  for (size_t i = 0; i < kept.size(); i += 3, ++x, ++y, ++z) {
    *x = kept[i];
    *y = kept[i + 1];
    *z = kept[i + 2];
  }
  return seen;
}
}  // namespace

int main()
{
  const unsigned int cells_x = next(), cells_y = next();
  const double pitch = next(), low_x = next(), low_y = next();
  nav2_costmap_2d::ObstacleLayer flat(
    cells_x, cells_y, pitch, low_x, low_y, nav2_costmap_2d::FREE_SPACE);
  flat.min_obstacle_height_ = next();
  flat.max_obstacle_height_ = next();
  const double min_height = next(), max_height = next(), origin_z = next(), pitch_z = next();
  const int levels = next();
  nav2_costmap_2d::VoxelLayer voxels(cells_x, cells_y, pitch, low_x, low_y, levels);
  voxels.min_obstacle_height_ = min_height;
  voxels.max_obstacle_height_ = max_height;
  voxels.origin_z_ = origin_z;
  voxels.z_resolution_ = pitch_z;
  voxels.unknown_threshold_ = 15 + 16 - levels;
  voxels.mark_threshold_ = next();
  voxels.voxel_grid_.reset();
  while (true) {
    double bounds[4] = {};
    for (nav2_costmap_2d::ObstacleLayer * layer :
      std::vector<nav2_costmap_2d::ObstacleLayer *>{&flat, &voxels})
    {
      layer->marks = {cloud()};
      layer->rays = {cloud()};
      layer->updateBounds(0.0, 0.0, 0.0, bounds, bounds + 1, bounds + 2, bounds + 3);
    }
    flat.print();
    voxels.print();
    fflush(stdout);
  }
}
