// oneDNN's vanilla_rnn primitive behind four C functions, for crnn.benchmark.peers.onednn.
//
// Primitives, memories and their arguments are created once. Inference packs its weights once for
// each layout that the primitive supports. Training keeps its weights in the layout ldigo, oneDNN's
// name for inputs x outputs. Each training step reorders them to the layouts of the forward and the
// backward primitive, and the gradients back to ldigo.
#include <cstring>
#include <exception>
#include <initializer_list>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"

using namespace dnnl;
using tag = memory::format_tag;
using arguments = std::unordered_map<int, memory>;

namespace {

std::string last_error;

memory::desc describe(std::initializer_list<memory::dim> dims, tag format) {
    return memory::desc(dims, memory::data_type::f32, format);
}

// A reorder, which does nothing if the layouts are equal.
struct reordering {
    memory from, to;
    bool needed;
    reorder primitive;

    reordering(const memory &from, const memory::desc &wanted, const engine &cpu)
        : from(from), to(from), needed(from.get_desc() != wanted) {
        if (needed) {
            to = memory(wanted, cpu);
            primitive = reorder(from, to);
        }
    }
    void run(stream &queue) {
        if (needed)
            primitive.execute(queue, from, to);
    }
};

} // namespace

struct crnn_onednn {
    engine cpu{engine::kind::cpu, 0};
    stream queue{cpu};
    memory x, a0, ba, a; // in crnn's layout, with two leading axes of 1
    memory Waa, Wax;     // likewise at first; for training transposed to ldigo
    memory da, dx, da0, dba, dWaa, dWax;
    std::vector<primitive> inference; // one per layout
    std::vector<arguments> inference_arguments;
    std::vector<reordering> before, between, after;
    primitive forward, backward;
    arguments forward_arguments, backward_arguments;

    crnn_onednn(int T, int m, int n_x, int n_a, const float *const *input) {
        const auto x_desc = describe({T, m, n_x}, tag::tnc);
        const auto a_desc = describe({T, m, n_a}, tag::tnc);
        const auto a0_desc = describe({1, 1, m, n_a}, tag::ldnc);
        const auto ba_desc = describe({1, 1, 1, n_a}, tag::ldgo);
        const auto Waa_any = describe({1, 1, n_a, 1, n_a}, tag::any);
        const auto Wax_any = describe({1, 1, n_x, 1, n_a}, tag::any);
        const auto none = memory::desc();

        Waa = copy(describe({1, 1, n_a, 1, n_a}, tag::ldgoi), input[0]);
        Wax = copy(describe({1, 1, n_x, 1, n_a}, tag::ldgoi), input[1]);
        ba = copy(ba_desc, input[2]);
        x = copy(x_desc, input[3]);
        a0 = copy(a0_desc, input[4]);
        da = copy(a_desc, input[5]);
        a = memory(a_desc, cpu);
        dx = memory(x_desc, cpu);
        da0 = memory(a0_desc, cpu);
        dba = memory(ba_desc, cpu);

        vanilla_rnn_forward::primitive_desc forward_pd(
            cpu, prop_kind::forward_training, algorithm::eltwise_tanh,
            rnn_direction::unidirectional_left2right, x_desc, a0_desc, Wax_any, Waa_any, ba_desc,
            a_desc, none);
        // The primitive's own choice; inputs x outputs; outputs x inputs, which is crnn's layout;
        // and the choice of the training primitive: inputs x outputs, with rows that are padded to
        // avoid cache aliasing.
        for (const auto &[Wax_desc, Waa_desc] : std::vector<std::pair<memory::desc, memory::desc>>{
                 {Wax_any, Waa_any},
                 {describe({1, 1, n_x, 1, n_a}, tag::ldigo),
                  describe({1, 1, n_a, 1, n_a}, tag::ldigo)},
                 {Wax.get_desc(), Waa.get_desc()},
                 {forward_pd.weights_layer_desc(), forward_pd.weights_iter_desc()}}) {
            const vanilla_rnn_forward::primitive_desc pd(
                cpu, prop_kind::forward_inference, algorithm::eltwise_tanh,
                rnn_direction::unidirectional_left2right, x_desc, a0_desc, Wax_desc, Waa_desc,
                ba_desc, a_desc, none, primitive_attr(), true);
            if (!pd) // this layout is not supported
                continue;
            inference.push_back(vanilla_rnn_forward(pd));
            inference_arguments.push_back(
                {{DNNL_ARG_SRC_LAYER, x},
                 {DNNL_ARG_SRC_ITER, a0},
                 {DNNL_ARG_WEIGHTS_LAYER, packed(Wax, pd.weights_layer_desc())},
                 {DNNL_ARG_WEIGHTS_ITER, packed(Waa, pd.weights_iter_desc())},
                 {DNNL_ARG_BIAS, ba},
                 {DNNL_ARG_DST_LAYER, a}});
        }

        // Only the C interface can request gradients that are written rather than added to zeros.
        dnnl_primitive_desc_t handle;
        error::wrap_c_api(
            dnnl_vanilla_rnn_backward_primitive_desc_create(
                &handle, cpu.get(), dnnl_backward, dnnl_eltwise_tanh,
                dnnl_unidirectional_left2right, x_desc.get(), a0_desc.get(), Wax_any.get(),
                Waa_any.get(), ba_desc.get(), a_desc.get(), none.get(), x_desc.get(), a0_desc.get(),
                Wax_any.get(), Waa_any.get(), ba_desc.get(), a_desc.get(), none.get(),
                dnnl_rnn_flags_diff_weights_overwrite, 0, 0, forward_pd.get(), nullptr),
            "cannot describe the backward primitive");
        vanilla_rnn_backward::primitive_desc backward_pd(handle);
        forward = vanilla_rnn_forward(forward_pd);
        backward = vanilla_rnn_backward(backward_pd);

        Waa = packed(Waa, describe({1, 1, n_a, 1, n_a}, tag::ldigo));
        Wax = packed(Wax, describe({1, 1, n_x, 1, n_a}, tag::ldigo));
        before = {{Wax, forward_pd.weights_layer_desc(), cpu},
                  {Waa, forward_pd.weights_iter_desc(), cpu}};
        between = {{Wax, backward_pd.weights_layer_desc(), cpu},
                   {Waa, backward_pd.weights_iter_desc(), cpu}};
        const memory dWax_own(backward_pd.diff_weights_layer_desc(), cpu);
        const memory dWaa_own(backward_pd.diff_weights_iter_desc(), cpu);
        after = {{dWax_own, Wax.get_desc(), cpu}, {dWaa_own, Waa.get_desc(), cpu}};
        dWax = after[0].to;
        dWaa = after[1].to;
        const memory workspace(forward_pd.workspace_desc(), cpu);
        forward_arguments = {{DNNL_ARG_SRC_LAYER, x},
                             {DNNL_ARG_SRC_ITER, a0},
                             {DNNL_ARG_WEIGHTS_LAYER, before[0].to},
                             {DNNL_ARG_WEIGHTS_ITER, before[1].to},
                             {DNNL_ARG_BIAS, ba},
                             {DNNL_ARG_DST_LAYER, a},
                             {DNNL_ARG_WORKSPACE, workspace}};
        backward_arguments = {{DNNL_ARG_SRC_LAYER, x},
                              {DNNL_ARG_SRC_ITER, a0},
                              {DNNL_ARG_WEIGHTS_LAYER, between[0].to},
                              {DNNL_ARG_WEIGHTS_ITER, between[1].to},
                              {DNNL_ARG_BIAS, ba},
                              {DNNL_ARG_DST_LAYER, a},
                              {DNNL_ARG_WORKSPACE, workspace},
                              {DNNL_ARG_DIFF_DST_LAYER, da},
                              {DNNL_ARG_DIFF_SRC_LAYER, dx},
                              {DNNL_ARG_DIFF_SRC_ITER, da0},
                              {DNNL_ARG_DIFF_WEIGHTS_LAYER, dWax_own},
                              {DNNL_ARG_DIFF_WEIGHTS_ITER, dWaa_own},
                              {DNNL_ARG_DIFF_BIAS, dba}};
    }

    void infer(int layout) {
        inference[layout].execute(queue, inference_arguments[layout]);
        queue.wait();
    }

    void train() {
        for (auto &weights : before)
            weights.run(queue);
        forward.execute(queue, forward_arguments);
        for (auto &weights : between)
            weights.run(queue);
        backward.execute(queue, backward_arguments);
        for (auto &weights : after)
            weights.run(queue);
        queue.wait();
    }

    memory copy(const memory::desc &desc, const float *values) {
        memory made(desc, cpu);
        std::memcpy(made.get_data_handle(), values, desc.get_size());
        return made;
    }

    memory packed(const memory &from, const memory::desc &wanted) {
        reordering once(from, wanted, cpu);
        once.run(queue);
        queue.wait();
        return once.to;
    }
};

extern "C" {

// The message of the last call that returned NULL.
const char *crnn_onednn_error() { return last_error.c_str(); }

// input: Waa, Wax, ba, x, a0, da in crnn's layout.
crnn_onednn *crnn_onednn_new(int T, int m, int n_x, int n_a, const float *const *input) {
    try {
        return new crnn_onednn(T, m, n_x, n_a, input);
    } catch (const std::exception &problem) {
        last_error = problem.what();
        return nullptr;
    }
}

void crnn_onednn_free(crnn_onednn *rnn) { delete rnn; }

int crnn_onednn_layouts(const crnn_onednn *rnn) { return int(rnn->inference.size()); }

void crnn_onednn_infer(crnn_onednn *rnn, int layout) { rnn->infer(layout); }

void crnn_onednn_train(crnn_onednn *rnn) { rnn->train(); }

// output: a, dWaa transposed, dWax transposed, dba, dx, da0.
void crnn_onednn_results(crnn_onednn *rnn, const float **output) {
    const memory *const results[] = {&rnn->a,   &rnn->dWaa, &rnn->dWax,
                                     &rnn->dba, &rnn->dx,   &rnn->da0};
    for (const memory *result : results)
        *output++ = static_cast<const float *>(result->get_data_handle());
}
}
