// Sums over compressed rows of synapses (CSR), for XLA on a CPU.
//
//   pull   y[c, r, b] = sum over the synapses e of row r of  w[c, synapses[e]] * sender(e)[c, b]
//   dots   s[c, e]    = sum over b of  sender(e)[c, b] * y[c, r(e), b]
//
// c counts channels, b the examples of a batch. Senders stand in several arrays, the pieces [channels, rows, batch]:
// sources[e] is (piece << shift) + row. The synapses of row r are starts[r] .. starts[r + 1] - 1. A sum is made by
// one thread, in the order of the row's synapses: results do not depend on the number of threads.
//
// Any operand may have more dimensions in front, each of the common size or 1 (`jax.vmap` with "expand_dims").

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;

// --- vectors ---------------------------------------------------------------------------------------------------------

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

template <typename T, int kSize>
struct VectorOf {
  typedef T type __attribute__((vector_size(kSize), aligned(alignof(T)), may_alias));
};

template <typename T, int kLanes>
using Vector = typename VectorOf<T, kLanes * static_cast<int>(sizeof(T))>::type;

template <typename T>
constexpr int kWidest = kBytes / static_cast<int>(sizeof(T));

template <typename T, int kLanes>
inline Vector<T, kLanes> load(const T* from) {
  return *reinterpret_cast<const Vector<T, kLanes>*>(from);
}

// The sum of a vector's lanes, half by half.
template <typename T, int kLanes>
inline T total(Vector<T, kLanes> v) {
  if constexpr (kLanes == 2) {
    return v[0] + v[1];
  } else {
    Vector<T, kLanes / 2> low, high;
    std::memcpy(&low, &v, sizeof(low));
    std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof(low), sizeof(high));
    return total<T, kLanes / 2>(low + high);
  }
}

// --- one row ---------------------------------------------------------------------------------------------------------

template <typename T>
struct Row {
  const T* const* pieces;  // of one channel
  int32_t shift;           // a source is (piece << shift) + row
  int64_t batch;           // numbers in a row of a piece
  const int32_t* sources;  // of this row's synapses
  int64_t count;

  const T* sender(int64_t e, int64_t column) const {
    const int32_t source = sources[e];
    return pieces[source >> shift] + (source & ((int32_t{1} << shift) - 1)) * batch + column;
  }
};

// Some columns of a row's sum: kVectors vectors, kAtOnce synapses at a time so that additions need not wait for others.
template <typename T, int kLanes, int kVectors, int kAtOnce>
inline void pull_columns(const Row<T>& row, int64_t column, const T* w, const int32_t* synapses, T* y) {
  using V = Vector<T, kLanes>;
  V sums[kAtOnce][kVectors];
  for (auto& part : sums)
    for (auto& sum : part) sum = V{};
  int64_t e = 0;
  for (; e + kAtOnce <= row.count; e += kAtOnce) {
#pragma GCC unroll 8
    for (int u = 0; u < kAtOnce; ++u) {
      const T* a = row.sender(e + u, column);
      const T value = w[synapses[e + u]];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[u][v] += value * load<T, kLanes>(a + v * kLanes);
    }
  }
  for (; e < row.count; ++e) {
    const T* a = row.sender(e, column);
    const T value = w[synapses[e]];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[0][v] += value * load<T, kLanes>(a + v * kLanes);
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    V sum = sums[0][v];
#pragma GCC unroll 8
    for (int u = 1; u < kAtOnce; ++u) sum += sums[u][v];
    *reinterpret_cast<V*>(y + column + v * kLanes) = sum;
  }
}

template <typename T>
inline void pull_column(const Row<T>& row, int64_t column, const T* w, const int32_t* synapses, T* y) {
  constexpr int kAtOnce = 4;
  T sums[kAtOnce] = {};
  int64_t e = 0;
  for (; e + kAtOnce <= row.count; e += kAtOnce)
    for (int u = 0; u < kAtOnce; ++u) sums[u] += w[synapses[e + u]] * *row.sender(e + u, column);
  for (; e < row.count; ++e) sums[0] += w[synapses[e]] * *row.sender(e, column);
  y[column] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Calls `wide<lanes, vectors>(column)` and `narrow(column)` so that together they go over all columns once.
template <typename T, typename Wide, typename Narrow>
inline void over_columns(int64_t batch, Wide wide, Narrow narrow) {
  constexpr int kLanes = kWidest<T>;
  using std::integral_constant;
  int64_t b = 0;
  for (; b + 8 * kLanes <= batch; b += 8 * kLanes) wide(integral_constant<int, kLanes>{}, integral_constant<int, 8>{}, b);
  if (b + 4 * kLanes <= batch) {
    wide(integral_constant<int, kLanes>{}, integral_constant<int, 4>{}, b);
    b += 4 * kLanes;
  }
  if (b + 2 * kLanes <= batch) {
    wide(integral_constant<int, kLanes>{}, integral_constant<int, 2>{}, b);
    b += 2 * kLanes;
  }
  if (b + kLanes <= batch) {
    wide(integral_constant<int, kLanes>{}, integral_constant<int, 1>{}, b);
    b += kLanes;
  }
  if constexpr (kLanes >= 16) {
    if (b + 8 <= batch) {
      wide(integral_constant<int, 8>{}, integral_constant<int, 1>{}, b);
      b += 8;
    }
  }
  if constexpr (kLanes >= 8) {
    if (b + 4 <= batch) {
      wide(integral_constant<int, 4>{}, integral_constant<int, 1>{}, b);
      b += 4;
    }
  }
  for (; b < batch; ++b) narrow(b);
}

template <typename T>
void pull_row(const Row<T>& row, const T* w, const int32_t* synapses, T* y) {
  over_columns<T>(
      row.batch,
      [&](auto lanes, auto vectors, int64_t column) {
        constexpr int kAtOnce = vectors() >= 8 ? 1 : vectors() >= 4 ? 2 : 4;
        pull_columns<T, lanes(), vectors(), kAtOnce>(row, column, w, synapses, y);
      },
      [&](int64_t column) { pull_column<T>(row, column, w, synapses, y); });
}

// Some columns of the inner products along a row's synapses.
template <typename T, int kLanes, int kVectors>
inline void dots_columns(const Row<T>& row, int64_t column, const T* y, T* dots) {
  using V = Vector<T, kLanes>;
  V mine[kVectors];
  for (int v = 0; v < kVectors; ++v) mine[v] = load<T, kLanes>(y + column + v * kLanes);
  for (int64_t e = 0; e < row.count; ++e) {
    const T* a = row.sender(e, column);
    V sum = mine[0] * load<T, kLanes>(a);
#pragma GCC unroll 8
    for (int v = 1; v < kVectors; ++v) sum += mine[v] * load<T, kLanes>(a + v * kLanes);
    dots[e] += total<T, kLanes>(sum);
  }
}

template <typename T>
void dots_row(const Row<T>& row, const T* y, T* dots) {
  over_columns<T>(
      row.batch,
      [&](auto lanes, auto vectors, int64_t column) {
        dots_columns<T, lanes(), vectors()>(row, column, y, dots);
      },
      [&](int64_t column) {
        for (int64_t e = 0; e < row.count; ++e) dots[e] += y[column] * *row.sender(e, column);
      });
}

// --- all rows, by all threads ----------------------------------------------------------------------------------------

constexpr int64_t kAlone = 1 << 19;  // multiply-adds up to which waking another thread takes longer than doing them
constexpr int64_t kPiece = 1 << 15;  // multiply-adds of a piece of work, at least

constexpr int kSpins = 2000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Runs f(0) .. f(n - 1), each once, that take `work` multiply-adds together: by the threads of XLA's pool and by this one. It waits only for what has been begun,
// so that it cannot wait for ever, however busy the pool is.
template <typename F>
void in_parallel(ffi::ThreadPool& threads, int64_t n, int64_t work, const F& f) {
  const int64_t helpers = work <= kAlone ? 0 : std::min<int64_t>(threads.num_threads(), n) - 1;
  if (helpers <= 0) {
    for (int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
  };
  auto state = std::make_shared<State>();
  // `f` is alive as long as there is a number left to take: this thread returns when all are done
  auto run = [state, n, &f] {
    int64_t mine = 0;
    for (int64_t i = state->next.fetch_add(1); i < n; i = state->next.fetch_add(1), ++mine) f(i);
    if (mine > 0 && state->done.fetch_add(mine) + mine == n) {
      std::lock_guard<std::mutex> lock(state->mutex);
      state->finished.notify_all();
    }
  };
  for (int64_t i = 0; i < helpers; ++i) {
    auto copy = run;
    threads.Schedule(std::move(copy));
  }
  run();
  // what others have begun takes microseconds, which is less than falling asleep and being woken
  for (int i = 0; i < kSpins; ++i) {
    if (state->done.load() == n) return;
    pause();
  }
  std::unique_lock<std::mutex> lock(state->mutex);
  state->finished.wait(lock, [&] { return state->done.load() == n; });
}

// Row after which about `part / parts` of the synapses of rows `low .. high - 1` have come.
int64_t cut(const int32_t* starts, int64_t low, int64_t high, int64_t part, int64_t parts) {
  if (part <= 0) return low;
  if (part >= parts) return high;
  // an empty row counts as half a synapse's work, so that many of them are shared out, too
  const auto weight = [&](int64_t row) { return 2 * (int64_t{starts[row]} - starts[low]) + (row - low); };
  const int64_t goal = weight(high) * part / parts;
  int64_t first = low, last = high;
  while (first < last) {
    const int64_t middle = (first + last) / 2;
    if (weight(middle) < goal) first = middle + 1; else last = middle;
  }
  return first;
}

// Dimensions in front of the last `own`: where an operand's part begins for each element of the result's.
struct Front {
  ffi::Span<const int64_t> all, mine;
  int64_t own;

  bool fits() const {
    const int64_t n = static_cast<int64_t>(all.size());
    if (static_cast<int64_t>(mine.size()) != n + own) return false;
    for (int64_t d = 0; d < n; ++d)
      if (mine[d] != 1 && mine[d] != all[d]) return false;
    return true;
  }

  int64_t offset(int64_t index) const {
    int64_t stride = 1, offset = 0;
    for (size_t d = all.size(); d < mine.size(); ++d) stride *= mine[d];
    for (int64_t d = static_cast<int64_t>(all.size()) - 1; d >= 0; --d) {
      const int64_t at = index % all[d];
      index /= all[d];
      if (mine[d] != 1) offset += at * stride;
      stride *= mine[d];
    }
    return offset;
  }
};

int64_t product(ffi::Span<const int64_t> sizes) {
  int64_t n = 1;
  for (const int64_t size : sizes) n *= size;
  return n;
}

template <typename Buffer>
int64_t from_end(const Buffer& buffer, int n) {
  const auto dimensions = buffer.dimensions();
  return dimensions[dimensions.size() - n];
}

ffi::Error misfit(const char* what) { return ffi::Error::InvalidArgument(what); }

// The pieces that senders stand in: the operands that come last.
template <ffi::DataType kType>
class Pieces {
 public:
  using T = ffi::NativeType<kType>;

  // What is wrong with them, else nothing.
  const char* read(ffi::RemainingArgs given, ffi::Span<const int64_t> front, int64_t channels, int64_t batch) {
    for (size_t i = 0; i < given.size(); ++i) {
      const auto piece = given.get<ffi::Buffer<kType>>(i);
      if (!piece.has_value()) return "a piece has another type than the result";
      one_.push_back({piece->typed_data(), Front{front, piece->dimensions(), 3}, 0});
      if (!one_.back().front.fits()) return "a piece has other dimensions in front than the result";
      one_.back().rows = from_end(*piece, 2);
      if (from_end(*piece, 3) != channels || from_end(*piece, 1) != batch)
        return "a piece has other channels or another batch than the result";
    }
    batch_ = batch;
    return nullptr;
  }

  // Where each piece's part begins for an element of the dimensions in front and a channel.
  void at(int64_t index, int64_t channel, std::vector<const T*>& begins) const {
    begins.clear();
    for (const auto& piece : one_)
      begins.push_back(piece.data + piece.front.offset(index) + channel * piece.rows * batch_);
  }

 private:
  struct One {
    const T* data;
    Front front;
    int64_t rows;
  };
  std::vector<One> one_;
  int64_t batch_ = 0;
};

// Operands: w [.., channels or 1, values], sources and synapses [.., synapses], starts [.., rows + 1], span [.., 3]:
// begin, low, high; the pieces. Result y [.., channels, n, batch]: rows begin .. begin + n - 1, of which those below low
// or from high on are zeros.
template <ffi::DataType kType>
ffi::Error pull(ffi::ThreadPool threads, ffi::Buffer<kType> w, ffi::Buffer<ffi::S32> sources,
                ffi::Buffer<ffi::S32> synapses, ffi::Buffer<ffi::S32> starts, ffi::Buffer<ffi::S32> span,
                ffi::RemainingArgs given, ffi::ResultBuffer<kType> y, int64_t shift) {
  using T = ffi::NativeType<kType>;
  const auto sizes = y->dimensions();
  if (sizes.size() < 3) return misfit("the result of `pull` has less than 3 dimensions");
  const auto front = sizes.first(sizes.size() - 3);
  const Front of_w{front, w.dimensions(), 2}, of_sources{front, sources.dimensions(), 1};
  const Front of_synapses{front, synapses.dimensions(), 1}, of_starts{front, starts.dimensions(), 1};
  const Front of_span{front, span.dimensions(), 1};
  for (const Front* one : {&of_w, &of_sources, &of_synapses, &of_starts, &of_span})
    if (!one->fits()) return misfit("an operand of `pull` has other dimensions in front than its result");
  const int64_t n_front = product(front), channels = from_end(*y, 3), n = from_end(*y, 2), batch = from_end(*y, 1);
  const int64_t w_channels = from_end(w, 2), values = from_end(w, 1), rows = from_end(starts, 1) - 1;
  if (w_channels != 1 && w_channels != channels) return misfit("the synapses of `pull` have other channels");
  Pieces<kType> pieces;
  if (const char* wrong = pieces.read(given, front, channels, batch)) return misfit(wrong);
  if (n_front * channels * n * batch == 0) return ffi::Error::Success();

  const int64_t most = std::max<int64_t>(1, std::min<int64_t>(16 * threads.num_threads(), n));
  // of a chunk, the share of the synapses that it is likely to have
  const int64_t some = from_end(sources, 1) * n / std::max<int64_t>(rows, 1);
  const int64_t parts = std::min(most, std::max<int64_t>(1, some * batch / kPiece));
  in_parallel(threads, n_front * channels * parts, n_front * channels * some * batch, [&](int64_t task) {
    const int64_t part = task % parts, c = task / parts % channels, at = task / parts / channels;
    const int32_t* first = starts.typed_data() + of_starts.offset(at);
    const int32_t* sender = sources.typed_data() + of_sources.offset(at);
    const int32_t* number = synapses.typed_data() + of_synapses.offset(at);
    const int32_t* reach = span.typed_data() + of_span.offset(at);
    const T* value = w.typed_data() + of_w.offset(at) + (w_channels == 1 ? 0 : c * values);
    std::vector<const T*> begins;
    pieces.at(at, c, begins);
    const int64_t begin = reach[0];
    const int64_t low = std::clamp<int64_t>(reach[1], begin, std::min(begin + n, rows));
    const int64_t high = std::clamp<int64_t>(reach[2], low, std::min(begin + n, rows));
    T* sums = y->typed_data() + (at * channels + c) * n * batch;
    if (part == 0) std::fill(sums, sums + (low - begin) * batch, T{0});
    if (part == parts - 1) std::fill(sums + (high - begin) * batch, sums + n * batch, T{0});
    const int64_t stop = cut(first, low, high, part + 1, parts);
    for (int64_t r = cut(first, low, high, part, parts); r < stop; ++r) {
      const Row<T> row{begins.data(), static_cast<int32_t>(shift), batch, sender + first[r], first[r + 1] - first[r]};
      pull_row<T>(row, value, number + first[r], sums + (r - begin) * batch);
    }
  });
  return ffi::Error::Success();
}

// Operands: y [.., channels, rows, batch], sources [.., synapses], starts [.., rows + 1]; the pieces. Result
// [.., channels, synapses], or [.., 1, synapses] for the sum over channels.
template <ffi::DataType kType>
ffi::Error dots(ffi::ThreadPool threads, ffi::Buffer<kType> y, ffi::Buffer<ffi::S32> sources,
                ffi::Buffer<ffi::S32> starts, ffi::RemainingArgs given, ffi::ResultBuffer<kType> s, int64_t shift) {
  using T = ffi::NativeType<kType>;
  const auto sizes = s->dimensions();
  if (sizes.size() < 2 || y.dimensions().size() < 3) return misfit("an array of `dots` has too few dimensions");
  const auto front = sizes.first(sizes.size() - 2);
  const Front of_y{front, y.dimensions(), 3}, of_sources{front, sources.dimensions(), 1};
  const Front of_starts{front, starts.dimensions(), 1};
  for (const Front* one : {&of_y, &of_sources, &of_starts})
    if (!one->fits()) return misfit("an operand of `dots` has other dimensions in front than its result");
  const int64_t n_front = product(front), channels = from_end(y, 3), rows = from_end(y, 2), batch = from_end(y, 1);
  const int64_t kept = from_end(*s, 2), n = from_end(*s, 1);
  if ((kept != 1 && kept != channels) || from_end(starts, 1) != rows + 1 || from_end(sources, 1) != n)
    return misfit("the operands of `dots` have other channels, rows or synapses than each other");
  Pieces<kType> pieces;
  if (const char* wrong = pieces.read(given, front, channels, batch)) return misfit(wrong);
  if (n_front * n == 0) return ffi::Error::Success();

  const int64_t together = kept == 1 ? channels : 1;  // channels that one task sums
  const int64_t most = std::max<int64_t>(1, std::min<int64_t>(16 * threads.num_threads(), rows));
  const int64_t parts = std::min(most, std::max<int64_t>(1, n * together * batch / kPiece));
  in_parallel(threads, n_front * kept * parts, n_front * channels * n * batch, [&](int64_t task) {
    const int64_t part = task % parts, c = task / parts % kept, at = task / parts / kept;
    const int32_t* first = starts.typed_data() + of_starts.offset(at);
    const int32_t* sender = sources.typed_data() + of_sources.offset(at);
    const T* mine = y.typed_data() + of_y.offset(at);
    T* found = s->typed_data() + (at * kept + c) * n;
    const int64_t start = cut(first, 0, rows, part, parts), stop = cut(first, 0, rows, part + 1, parts);
    std::fill(found + first[start], found + first[stop], T{0});
    std::vector<const T*> begins;
    for (int64_t k = c; k < c + together; ++k) {
      pieces.at(at, k, begins);
      for (int64_t r = start; r < stop; ++r) {
        const Row<T> row{begins.data(), static_cast<int32_t>(shift), batch, sender + first[r], first[r + 1] - first[r]};
        dots_row<T>(row, mine + (k * rows + r) * batch, found + first[r]);
      }
    }
  });
  return ffi::Error::Success();
}

template <ffi::DataType kType>
auto pull_binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<ffi::S32>>()
      .template Arg<ffi::Buffer<ffi::S32>>()
      .template Arg<ffi::Buffer<ffi::S32>>()
      .template Arg<ffi::Buffer<ffi::S32>>()
      .RemainingArgs()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("shift");
}

template <ffi::DataType kType>
auto dots_binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .template Arg<ffi::Buffer<kType>>()
      .template Arg<ffi::Buffer<ffi::S32>>()
      .template Arg<ffi::Buffer<ffi::S32>>()
      .RemainingArgs()
      .template Ret<ffi::Buffer<kType>>()
      .template Attr<int64_t>("shift");
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(pull_float32, pull<ffi::F32>, pull_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(pull_float64, pull<ffi::F64>, pull_binding<ffi::F64>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(dots_float32, dots<ffi::F32>, dots_binding<ffi::F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(dots_float64, dots<ffi::F64>, dots_binding<ffi::F64>());
