/* own_loop.cpp - the same as own_loop.c in C++.   own_loop MODEL.gguf PROMPT */
#include <headwater-llama.hpp>
#include <llama.h>

#include <algorithm>
#include <iostream>

template <class T> T *need(T *made, const char *why) { return made ? made : throw std::runtime_error(why); }

int main(int argc, char **argv) try {
    constexpr std::size_t n_predict = 6;
    if (argc != 3) throw std::invalid_argument("usage: own_loop MODEL.gguf PROMPT");
    const std::string prompt = argv[2];
    hw_log_set(nullptr, nullptr);
    hw_llama_start();
    std::unique_ptr<llama_model, void (*)(llama_model *)> weights(
        need(llama_model_load_from_file(argv[1], llama_model_default_params()), "the model cannot be loaded"),
        llama_model_free);
    const llama_vocab *vocab = llama_model_get_vocab(weights.get());
    std::vector<llama_token> ids(prompt.size() + 2);
    const int n = llama_tokenize(vocab, prompt.data(), int(prompt.size()), ids.data(), int(ids.size()), true, false);
    ids.resize(std::max(n, 0));

    llama_context_params params = llama_context_default_params();
    params.n_ctx = uint32_t(ids.size() + n_predict);
    headwater::llama_model_view model(weights.get(), argv[1]);
    headwater::tap tap(model);
    tap.install(params);
    std::unique_ptr<llama_context, void (*)(llama_context *)> context(
        need(llama_init_from_model(weights.get(), params), "no context can be made"), llama_free);
    std::unique_ptr<llama_sampler, void (*)(llama_sampler *)> sampler(llama_sampler_init_greedy(), llama_sampler_free);

    headwater::explainer methods;
    hw_run_params run = hw_run_params_default();
    run.explainer = methods.add("logit").get();
    run.n_generate = n_predict;
    tap.begin(context.get(), run, {ids.data(), ids.size()});
    llama_token token = HW_TAP_NO_TOKEN;
    llama_batch batch = llama_batch_get_one(ids.data(), int32_t(ids.size()));
    for (std::size_t i = 0; i < n_predict && !llama_vocab_is_eog(vocab, token); i++) {
        if (llama_decode(context.get(), batch)) throw std::runtime_error("llama_decode() failed");
        token = llama_sampler_sample(sampler.get(), context.get(), -1);
        batch = llama_batch_get_one(&token, 1);
    }
    headwater::trace trace = tap.finish(llama_vocab_is_eog(vocab, token) ? int32_t(HW_TAP_NO_TOKEN) : token);
    headwater::attribution a = methods.result(0, trace);
    for (std::size_t i = 0; i < a.rows(); i++) {
        hw_view_params row = hw_view_params_default();
        row.row_begin = i, row.row_end = i + 1, row.hide = "first";
        std::string text = trace.run().text(hw_attribution_first_token(a.get()) + i);
        text.resize(std::max<std::size_t>(text.size(), 10), ' ');
        std::cout << text << " <- " << trace.run().text(a.view(&row).top(1).at(0)) << "\n";
    }
} catch (const std::exception &e) {
    std::cerr << e.what() << "\n";
    return 1;
}
