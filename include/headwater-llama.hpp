/*
 * headwater-llama.hpp - headwater-llama.h for C++17, as headwater.hpp is for headwater.h. Needs no header of llama.cpp.
 */
#ifndef HEADWATER_LLAMA_HPP
#define HEADWATER_LLAMA_HPP

#include "headwater-llama.h"
#include "headwater.hpp"

namespace headwater {

/* A model that libllama has loaded from `path`, which must outlive this. */
class llama_model_view : public detail::owner<hw_model, hw_model_close> {
  public:
    llama_model_view(struct llama_model *loaded, const char *path, const hw_model_params *params = nullptr)
        : owner(detail::make<hw_model>(hw_model_from_llama, loaded, path, params)) {}
    const hw_model_info &info() const { return *hw_model_describe(get()); }
};

/* Follows runs in contexts of this model; the contexts must be freed before it. */
class tap : public detail::owner<hw_tap, hw_tap_free> {
  public:
    explicit tap(const llama_model_view &model) : owner(detail::make<hw_tap>(hw_tap_new, model.get())) {}
    void install(struct llama_context_params &params) { detail::call(hw_tap_install, get(), &params); }
    void begin(struct llama_context *context, const hw_run_params &run, span<std::int32_t> tokens = {}) {
        detail::call(hw_tap_begin, get(), context, &run, tokens.data(), tokens.size());
    }
    /* Throws the first error of the run. */
    void check() const {
        const hw_tap *self = get();
        detail::call(hw_tap_error, self);
    }
    trace finish(std::int32_t last = HW_TAP_NO_TOKEN) {
        return trace(detail::make<hw_trace>(hw_tap_finish, get(), last));
    }
};

} // namespace headwater
#endif /* HEADWATER_LLAMA_HPP */
