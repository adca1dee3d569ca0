/* explain.cpp - the same as explain.c with headwater.hpp.   explain MODEL.gguf PROMPT */
#include <headwater.hpp>

#include <algorithm>
#include <iostream>

int main(int argc, char **argv) try {
    if (argc != 3) throw std::invalid_argument("usage: explain MODEL.gguf PROMPT");
    hw_log_set(nullptr, nullptr);
    headwater::model model(argv[1]);
    headwater::explainer methods;
    headwater::trace trace = model.capture(argv[2], 6, &methods.add("logit"));
    headwater::attribution a = methods.result(0, trace);
    for (std::size_t i = 0; i < a.rows(); i++) {
        hw_view_params row = hw_view_params_default();
        row.row_begin = i, row.row_end = i + 1, row.hide = "first";
        std::string token = trace.run().text(hw_attribution_first_token(a.get()) + i);
        token.resize(std::max<std::size_t>(token.size(), 10), ' ');
        std::cout << token << " <- " << trace.run().text(a.view(&row).top(1).at(0)) << "\n";
    }
} catch (const std::exception &e) {
    std::cerr << e.what() << "\n";
    return 1;
}
