/* client.cpp - headwater.hpp on exported attention: values, errors, ownership.   client ATTENTION.safetensors */
#include "headwater.hpp"

#include <cstdio>
#include <utility>

static int g_n_wrong;

static void expect(bool ok, const char *what) {
    if (ok) return;
    std::printf("wrong: %s\n", what);
    g_n_wrong++;
}

template <class Exception, class Function> static void expect_throw(Function function, const char *what) {
    try {
        function();
    } catch (const Exception &) {
        return;
    }
    expect(false, what);
}

static void errors_have_code_and_message(const headwater::trace &trace) {
    try {
        trace.explain("nose");
        expect(false, "an unknown method");
    } catch (const headwater::error &e) {
        expect(e.code() == HW_ERR_ARGUMENT && std::string(e.what()).find("nose") != std::string::npos, "its error");
    }
    expect_throw<headwater::error>([] { headwater::trace::open("missing.safetensors"); }, "a missing file");
    expect_throw<headwater::error>([] { headwater::trace::from_bytes("text"); }, "bytes of no trace");
}

static void values_are_those_of_the_c_library(const headwater::trace &trace) {
    headwater::attribution a = trace.explain("rollout");
    std::size_t cells = a.rows() * a.columns() * a.layers();
    expect(cells > 0 && a.values().size() == cells && a.values().data() == hw_attribution_values(a.get()), "values");
    expect(a(0, 1, 0) == a.values()[a.layers()], "a cell");
    expect_throw<std::out_of_range>([&] { a(a.rows(), 0, 0); }, "a row outside");
    headwater::view view = a.view();
    expect(view.scores().size() == a.columns() && view.top(2).size() == 2, "a view");
    expect(view.scores()[view.top(1)[0]] >= view.scores()[view.top(2)[1]], "its order");
    headwater::attribution moved = std::move(a);
    expect(!a.get() && moved.get(), "a moved object");
    headwater::trace again = headwater::trace::from_bytes(trace.to_bytes());
    headwater::attribution same = again.explain("rollout");
    for (std::size_t i = 0; i < cells; i++) expect(same.values()[i] == moved.values()[i], "values from bytes");
    expect(moved.to_bytes("json").front() == '{', "bytes of a result");
}

static void citations_have_their_passages(const headwater::trace &trace) {
    headwater::run run = trace.run();
    headwater::segments passages(run, HW_SIDE_PROMPT, "token"), answer(run, HW_SIDE_COMPLETION, "token");
    headwater::citation citation(trace.explain("rollout"), passages, answer);
    expect(citation.parts() == answer.size() && citation.passages() == passages.size(), "sizes of a citation");
    for (std::size_t p : citation.marked()) expect(citation(citation.parts(), p).marked, "a marked passage");
    expect(run.size() == run.prompt_size() + run.completion_size(), "tokens");
    expect(run.token(0).n_bytes == run.text(0).size(), "the text of a token");
    expect_throw<std::out_of_range>([&] { run.text(run.size()); }, "a token outside");
}

int main(int argc, char **argv) try {
    if (argc != 2) return 2;
    headwater::trace trace = headwater::trace::import_attention(argv[1]);
    errors_have_code_and_message(trace);
    values_are_those_of_the_c_library(trace);
    citations_have_their_passages(trace);
    return g_n_wrong > 0;
} catch (const std::exception &e) {
    std::printf("failed: %s\n", e.what());
    return 1;
}
