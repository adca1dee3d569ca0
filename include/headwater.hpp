/*
 * headwater.hpp - headwater.h for C++17: objects that free themselves, arrays with their length, exceptions.
 *
 * Header only: everything here is compiled into the caller, the library has a C interface alone. Each class holds one
 * object of the C library; get() returns it, for functions of headwater.h that have no method here. Classes are moved,
 * not copied. What refers to an object (runs, arrays, texts) is valid as long as that object.
 */
#ifndef HEADWATER_HPP
#define HEADWATER_HPP

#include "headwater.h"

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace headwater {

/* What the library reports; what() is its message. */
class error : public std::runtime_error {
  public:
    error(hw_err code, const char *message) : std::runtime_error(message), code_(code) {}
    hw_err code() const noexcept { return code_; }

  private:
    hw_err code_;
};

/* An array that belongs to another object. */
template <class T> class span {
  public:
    span() = default;
    span(const T *data, std::size_t size) : data_(data), size_(size) {}
    const T *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const T *begin() const noexcept { return data_; }
    const T *end() const noexcept { return data_ + size_; }
    const T &operator[](std::size_t i) const { return data_[i]; }
    const T &at(std::size_t i) const {
        if (i >= size_) throw std::out_of_range("headwater::span");
        return data_[i];
    }

  private:
    const T *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

/* Calls a function whose last parameter is a hw_error. */
template <class Function, class... Arguments> void call(Function function, Arguments... arguments) {
    hw_error why;
    hw_err code = function(arguments..., &why);
    if (code != HW_OK) throw error(code, why.msg);
}

/* The same where an object comes first. */
template <class T, class Function, class... Arguments> T *make(Function function, Arguments... arguments) {
    T *made = nullptr;
    call(function, &made, arguments...);
    return made;
}

template <class T, void (*Free)(T *)> struct deleter {
    void operator()(T *object) const noexcept { Free(object); }
};

/* Owns one object. */
template <class T, void (*Free)(T *)> class owner {
  public:
    T *get() const noexcept { return object_.get(); }

  protected:
    explicit owner(T *object) : object_(object) {}

  private:
    std::unique_ptr<T, deleter<T, Free>> object_;
};

template <class Function, class... Arguments> std::string bytes(Function function, Arguments... arguments) {
    char *text = nullptr;
    std::size_t n = 0;
    call(function, &text, &n, arguments...);
    std::unique_ptr<char, void (*)(char *)> held(text, [](char *p) { hw_free(p); });
    return std::string(text, n);
}

} // namespace detail

/* The tokens of one run; refers to a trace or an attribution. */
class run {
  public:
    explicit run(const hw_run *borrowed) : run_(borrowed) {}
    const hw_run *get() const noexcept { return run_; }
    std::size_t size() const { return hw_run_n_tokens(run_); }
    std::size_t prompt_size() const { return hw_run_n_prompt(run_); }
    std::size_t completion_size() const { return hw_run_n_completion(run_); }
    hw_token token(std::size_t i) const {
        if (i >= size()) throw std::out_of_range("headwater::run::token");
        return hw_run_token(run_, i);
    }
    std::string text(std::size_t i) const {
        if (i >= size()) throw std::out_of_range("headwater::run::text");
        std::string out(hw_run_token_text(nullptr, 0, run_, i), '\0');
        hw_run_token_text(&out[0], out.size() + 1, run_, i);
        return out;
    }
    std::string_view prompt() const { return view_of(hw_run_prompt); }
    std::string_view completion() const { return view_of(hw_run_completion); }

  private:
    std::string_view view_of(const char *(*getter)(const hw_run *, std::size_t *)) const {
        std::size_t n = 0;
        const char *bytes = getter(run_, &n);
        return {bytes, n};
    }
    const hw_run *run_;
};

class segments : public detail::owner<hw_segments, hw_segments_free> {
  public:
    segments(run of, hw_side side, const char *by)
        : owner(detail::make<hw_segments>(hw_segments_new, of.get(), side, by)) {}
    segments(run of, hw_side side, const std::vector<hw_span> &spans)
        : owner(detail::make<hw_segments>(hw_segments_from_spans, of.get(), side, spans.data(), spans.size())) {}
    std::size_t size() const { return hw_segments_count(get()); }
    hw_span operator[](std::size_t i) const { return *hw_segments_at(get(), i); }
};

class view : public detail::owner<hw_view, hw_view_free> {
  public:
    explicit view(const hw_attribution *a, const hw_view_params *params = nullptr)
        : owner(detail::make<hw_view>(hw_view_new, a, params)) {}
    span<float> scores() const { return {hw_view_scores(get()), hw_view_n_columns(get())}; }
    bool is_hidden(std::size_t column) const { return hw_view_is_hidden(get(), column); }
    /* The visible columns by descending score. */
    std::vector<std::size_t> top(std::size_t n) const {
        std::vector<std::size_t> out(n);
        out.resize(hw_view_top(get(), out.data(), n));
        return out;
    }
};

/* M [rows, columns, layers]. */
class attribution : public detail::owner<hw_attribution, hw_attribution_free> {
  public:
    explicit attribution(hw_attribution *owned) : owner(owned) {}
    std::size_t rows() const { return hw_attribution_n_rows(get()); }
    std::size_t columns() const { return hw_attribution_n_columns(get()); }
    std::size_t layers() const { return hw_attribution_n_layers(get()); }
    span<float> values() const { return {hw_attribution_values(get()), rows() * columns() * layers()}; }
    float operator()(std::size_t row, std::size_t column, std::size_t layer) const {
        if (row >= rows() || column >= columns() || layer >= layers())
            throw std::out_of_range("headwater::attribution");
        return values()[(row * columns() + column) * layers() + layer];
    }
    std::string method() const { return hw_attribution_method(get()); }
    hw_method_params params() const { return hw_attribution_params(get()); }
    headwater::run run() const { return headwater::run(hw_attribution_run(get())); }
    headwater::view view(const hw_view_params *params = nullptr) const { return headwater::view(get(), params); }
    /* The bytes of a result file: "json", "safetensors", "csv", "npy". */
    std::string to_bytes(const char *format) const {
        const hw_attribution *list[] = {get()};
        return detail::bytes(hw_result_to_bytes, list, std::size_t{1}, format);
    }
    void save(const char *path, bool full = false) const {
        const hw_attribution *list[] = {get()};
        detail::call(hw_result_save, list, std::size_t{1}, path, full);
    }
};

class citation : public detail::owner<hw_citation, hw_citation_free> {
  public:
    citation(const attribution &a, const segments &passages, const segments &answer,
             const hw_citation_params *params = nullptr)
        : owner(detail::make<hw_citation>(hw_citation_new, a.get(), passages.get(), answer.get(), params)) {}
    std::size_t parts() const { return hw_citation_n_parts(get()); }
    std::size_t passages() const { return hw_citation_n_passages(get()); }
    hw_citation_link operator()(std::size_t part, std::size_t passage) const {
        if (part > parts() || passage >= passages()) throw std::out_of_range("headwater::citation");
        return hw_citation_at(get(), part, passage);
    }
    /* Marked passages, the most important first. */
    span<std::size_t> marked() const {
        std::size_t n = 0;
        const std::size_t *order = hw_citation_order(get(), &n);
        return {order, n};
    }
};

class trace : public detail::owner<hw_trace, hw_trace_free> {
  public:
    explicit trace(hw_trace *owned) : owner(owned) {}
    static trace open(const char *path) { return trace(detail::make<hw_trace>(hw_trace_open, path)); }
    static trace from_bytes(std::string_view bytes) {
        return trace(detail::make<hw_trace>(hw_trace_open_bytes, bytes.data(), bytes.size()));
    }
    static trace import_attention(const char *path, hw_fuse fuse = HW_FUSE_MEAN) {
        return trace(detail::make<hw_trace>(hw_trace_import, path, fuse));
    }
    headwater::run run() const { return headwater::run(hw_trace_run(get())); }
    attribution explain(const char *method, const hw_method_params *params = nullptr) const {
        const hw_trace *self = get();
        return attribution(detail::make<hw_attribution>(hw_explain, self, method, params));
    }
    std::string to_bytes(const hw_save_params *params = nullptr) const {
        const hw_trace *self = get();
        return detail::bytes(hw_trace_to_bytes, self, params);
    }
    void save(const char *path, const hw_save_params *params = nullptr) const {
        const hw_trace *self = get();
        detail::call(hw_trace_save_as, self, path, params);
    }
};

class explainer : public detail::owner<hw_explainer, hw_explainer_free> {
  public:
    explicit explainer(const hw_explainer_params *params = nullptr)
        : owner(detail::make<hw_explainer>(hw_explainer_new, params)) {}
    explainer &add(const char *method, const hw_method_params *params = nullptr) {
        detail::call(hw_explainer_add, get(), method, params);
        return *this;
    }
    explainer &split(const char *by, bool whole = true) {
        detail::call(hw_explainer_split, get(), by, whole);
        return *this;
    }
    attribution result(std::size_t i, const trace &of) {
        const hw_trace *captured = of.get();
        return attribution(detail::make<hw_attribution>(hw_explainer_result, get(), i, captured));
    }
};

class model : public detail::owner<hw_model, hw_model_close> {
  public:
    explicit model(const char *path, const hw_model_params *params = nullptr)
        : owner(detail::make<hw_model>(hw_model_open, path, params)) {}
    const hw_model_info &info() const { return *hw_model_describe(get()); }
    trace capture(const hw_run_params &params) {
        return trace(detail::make<hw_trace>(hw_trace_capture, get(), &params));
    }
    /* Generates n tokens for a prompt, for the explainer's methods. */
    trace capture(std::string_view prompt, std::size_t n, explainer *methods = nullptr) {
        hw_run_params params = hw_run_params_default();
        params.prompt = prompt.data();
        params.prompt_bytes = prompt.size();
        params.n_generate = n;
        params.explainer = methods ? methods->get() : nullptr;
        return capture(params);
    }
};

} // namespace headwater
#endif /* HEADWATER_HPP */
