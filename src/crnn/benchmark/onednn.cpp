// oneDNN's primitives vanilla_rnn, lbr_gru and lstm behind a few C functions, for
// crnn.benchmark.peers.onednn.
//
// Primitives, memories and their arguments are created once. Inference packs its weights once for
// each layout that the primitive supports. Training keeps its weights in the layout ldigo, oneDNN's
// name for inputs x outputs. Each training step reorders them to the layouts of the forward and the
// backward primitive, and the gradients back to ldigo.
#include <cstring>
#include <exception>
#include <initializer_list>
#include <stdexcept>
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

// The layout that a primitive wants for one of its arguments.
memory::desc wanted_by(const primitive_desc_base &described, int argument) {
    return described.query_md(query::exec_arg_md, argument);
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

enum cell_kind { VANILLA = 0, GRU = 2, LSTM = 3 }; // as in crnn.h

// The layouts of a call's arrays. oneDNN's dimensions are layers, directions, inputs, gates,
// outputs.
struct layouts {
    cell_kind cell;
    memory::desc x, a, a0, c0, ba, none; // c0 only of an LSTM, and with it the last states

    layouts(cell_kind cell, int T, int m, int n_x, int n_a)
        : cell(cell), x(describe({T, m, n_x}, tag::tnc)), a(describe({T, m, n_a}, tag::tnc)),
          a0(describe({1, 1, m, n_a}, tag::ldnc)), c0(cell == LSTM ? a0 : memory::desc()),
          ba(describe({1, 1, cell == VANILLA ? 1 : 4, n_a}, tag::ldgo)) {}

    // An invalid descriptor if these layouts of the weights are not supported.
    primitive_desc_base forward(const engine &cpu, prop_kind kind, const memory::desc &Wax,
                                const memory::desc &Waa) const {
        const auto way = rnn_direction::unidirectional_left2right;
        const primitive_attr plain;
        if (cell == GRU)
            return lbr_gru_forward::primitive_desc(cpu, kind, way, x, a0, Wax, Waa, ba, a, none,
                                                   plain, true);
        if (cell == LSTM)
            return lstm_forward::primitive_desc(cpu, kind, way, x, a0, c0, Wax, Waa, ba, a, a0, c0,
                                                plain, true);
        return vanilla_rnn_forward::primitive_desc(cpu, kind, algorithm::eltwise_tanh, way, x, a0,
                                                   Wax, Waa, ba, a, none, plain, true);
    }

    // Only the C interface can request gradients that are written rather than added to zeros.
    primitive_desc_base backward(const engine &cpu, const primitive_desc_base &forward,
                                 const memory::desc &Wax, const memory::desc &Waa) const {
        const auto way = dnnl_unidirectional_left2right;
        const unsigned flags = dnnl_rnn_flags_diff_weights_overwrite;
        dnnl_primitive_desc_t handle;
        dnnl_status_t status;
        if (cell == GRU)
            status = dnnl_lbr_gru_backward_primitive_desc_create(
                &handle, cpu.get(), dnnl_backward, way, x.get(), a0.get(), Wax.get(), Waa.get(),
                ba.get(), a.get(), none.get(), x.get(), a0.get(), Wax.get(), Waa.get(), ba.get(),
                a.get(), none.get(), flags, forward.get(), nullptr);
        else if (cell == LSTM)
            status = dnnl_lstm_backward_primitive_desc_create(
                &handle, cpu.get(), dnnl_backward, way, x.get(), a0.get(), c0.get(), Wax.get(),
                Waa.get(), none.get(), none.get(), ba.get(), a.get(), a0.get(), c0.get(), x.get(),
                a0.get(), c0.get(), Wax.get(), Waa.get(), none.get(), none.get(), ba.get(), a.get(),
                a0.get(), c0.get(), flags, forward.get(), nullptr);
        else
            status = dnnl_vanilla_rnn_backward_primitive_desc_create(
                &handle, cpu.get(), dnnl_backward, dnnl_eltwise_tanh, way, x.get(), a0.get(),
                Wax.get(), Waa.get(), ba.get(), a.get(), none.get(), x.get(), a0.get(), Wax.get(),
                Waa.get(), ba.get(), a.get(), none.get(), flags, 0, 0, forward.get(), nullptr);
        error::wrap_c_api(status, "cannot describe the backward primitive");
        return primitive_desc(handle);
    }
};

} // namespace

struct crnn_onednn {
    engine cpu{engine::kind::cpu, 0};
    stream queue{cpu};
    memory x, a0, c0, ba, a, a_n, c_n; // in crnn's layout, with two leading axes of 1
    memory Waa, Wax;                   // likewise at first; for training transposed to ldigo
    memory da, da_n, dc_n, dx, da0, dc0, dba, dWaa, dWax;
    std::vector<primitive> inference; // one per layout
    std::vector<arguments> inference_arguments;
    std::vector<reordering> before, between, after;
    primitive forward, backward;
    arguments forward_arguments, backward_arguments;

    crnn_onednn(cell_kind cell, int T, int m, int n_x, int n_a, const float *const *input) {
        const layouts like(cell, T, m, n_x, n_a);
        const int gates = cell == GRU ? 3 : cell == LSTM ? 4 : 1;
        const memory::dims Waa_dims = {1, 1, n_a, gates, n_a}, Wax_dims = {1, 1, n_x, gates, n_a};
        const auto f32 = memory::data_type::f32;
        const memory::desc Waa_any(Waa_dims, f32, tag::any), Wax_any(Wax_dims, f32, tag::any),
            Waa_ldigo(Waa_dims, f32, tag::ldigo), Wax_ldigo(Wax_dims, f32, tag::ldigo);

        Waa = copy(memory::desc(Waa_dims, f32, tag::ldgoi), input[0]);
        Wax = copy(memory::desc(Wax_dims, f32, tag::ldgoi), input[1]);
        ba = copy(like.ba, input[2]);
        x = copy(like.x, input[3]);
        a0 = copy(like.a0, input[4]);
        da = copy(like.a, input[5]);
        a = memory(like.a, cpu);
        dx = memory(like.x, cpu);
        da0 = memory(like.a0, cpu);
        dba = memory(like.ba, cpu);
        if (cell == LSTM) {
            c0 = copy(like.c0, input[6]);
            dc_n = copy(like.c0, input[7]);
            a_n = memory(like.a0, cpu);
            c_n = memory(like.c0, cpu);
            dc0 = memory(like.c0, cpu);
            da_n = memory(like.a0, cpu);
            std::memset(da_n.get_data_handle(), 0, like.a0.get_size());
        }

        const auto trained = like.forward(cpu, prop_kind::forward_training, Wax_any, Waa_any);
        if (!trained)
            throw std::runtime_error("cannot describe the forward primitive");
        // The primitive's own choice; inputs x outputs; outputs x inputs, which is crnn's layout;
        // and the choice of the training primitive: inputs x outputs, with rows that are padded to
        // avoid cache aliasing.
        for (const auto &[Wax_desc, Waa_desc] : std::vector<std::pair<memory::desc, memory::desc>>{
                 {Wax_any, Waa_any},
                 {Wax_ldigo, Waa_ldigo},
                 {Wax.get_desc(), Waa.get_desc()},
                 {wanted_by(trained, DNNL_ARG_WEIGHTS_LAYER),
                  wanted_by(trained, DNNL_ARG_WEIGHTS_ITER)}}) {
            const auto described =
                like.forward(cpu, prop_kind::forward_inference, Wax_desc, Waa_desc);
            if (!described) // this layout is not supported
                continue;
            inference.push_back(primitive(described.get()));
            inference_arguments.push_back(
                inputs(packed(Wax, wanted_by(described, DNNL_ARG_WEIGHTS_LAYER)),
                       packed(Waa, wanted_by(described, DNNL_ARG_WEIGHTS_ITER))));
        }

        const auto reversed = like.backward(cpu, trained, Wax_any, Waa_any);
        forward = primitive(trained.get());
        backward = primitive(reversed.get());

        Waa = packed(Waa, Waa_ldigo);
        Wax = packed(Wax, Wax_ldigo);
        before = {{Wax, wanted_by(trained, DNNL_ARG_WEIGHTS_LAYER), cpu},
                  {Waa, wanted_by(trained, DNNL_ARG_WEIGHTS_ITER), cpu}};
        between = {{Wax, wanted_by(reversed, DNNL_ARG_WEIGHTS_LAYER), cpu},
                   {Waa, wanted_by(reversed, DNNL_ARG_WEIGHTS_ITER), cpu}};
        const memory dWax_own(wanted_by(reversed, DNNL_ARG_DIFF_WEIGHTS_LAYER), cpu);
        const memory dWaa_own(wanted_by(reversed, DNNL_ARG_DIFF_WEIGHTS_ITER), cpu);
        after = {{dWax_own, Wax.get_desc(), cpu}, {dWaa_own, Waa.get_desc(), cpu}};
        dWax = after[0].to;
        dWaa = after[1].to;
        const memory workspace(wanted_by(trained, DNNL_ARG_WORKSPACE), cpu);
        forward_arguments = inputs(before[0].to, before[1].to);
        forward_arguments[DNNL_ARG_WORKSPACE] = workspace;
        backward_arguments = inputs(between[0].to, between[1].to);
        backward_arguments.insert({{DNNL_ARG_WORKSPACE, workspace},
                                   {DNNL_ARG_DIFF_DST_LAYER, da},
                                   {DNNL_ARG_DIFF_SRC_LAYER, dx},
                                   {DNNL_ARG_DIFF_SRC_ITER, da0},
                                   {DNNL_ARG_DIFF_WEIGHTS_LAYER, dWax_own},
                                   {DNNL_ARG_DIFF_WEIGHTS_ITER, dWaa_own},
                                   {DNNL_ARG_DIFF_BIAS, dba}});
        if (cell == LSTM)
            backward_arguments.insert({{DNNL_ARG_DIFF_DST_ITER, da_n},
                                       {DNNL_ARG_DIFF_DST_ITER_C, dc_n},
                                       {DNNL_ARG_DIFF_SRC_ITER_C, dc0}});
    }

    // The arguments that every primitive has.
    arguments inputs(const memory &Wax, const memory &Waa) const {
        arguments all = {{DNNL_ARG_SRC_LAYER, x},       {DNNL_ARG_SRC_ITER, a0},
                         {DNNL_ARG_WEIGHTS_LAYER, Wax}, {DNNL_ARG_WEIGHTS_ITER, Waa},
                         {DNNL_ARG_BIAS, ba},           {DNNL_ARG_DST_LAYER, a}};
        if (c0)
            all.insert(
                {{DNNL_ARG_SRC_ITER_C, c0}, {DNNL_ARG_DST_ITER, a_n}, {DNNL_ARG_DST_ITER_C, c_n}});
        return all;
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

// cell: as in crnn.h. input: Waa, Wax, ba, x, a0, da in crnn's layout, and of an LSTM c0 and dc_n;
// but a GRU has its gates in the order z, r, n, and its baa after ba.
crnn_onednn *crnn_onednn_new(int cell, int T, int m, int n_x, int n_a, const float *const *input) {
    try {
        return new crnn_onednn(cell_kind(cell), T, m, n_x, n_a, input);
    } catch (const std::exception &problem) {
        last_error = problem.what();
        return nullptr;
    }
}

void crnn_onednn_free(crnn_onednn *rnn) { delete rnn; }

int crnn_onednn_layouts(const crnn_onednn *rnn) { return int(rnn->inference.size()); }

void crnn_onednn_infer(crnn_onednn *rnn, int layout) { rnn->infer(layout); }

void crnn_onednn_train(crnn_onednn *rnn) { rnn->train(); }

// output: a, dWaa transposed, dWax transposed, dba, dx, da0; of an LSTM also dc0.
void crnn_onednn_results(crnn_onednn *rnn, const float **output) {
    const memory *const results[] = {&rnn->a,  &rnn->dWaa, &rnn->dWax, &rnn->dba,
                                     &rnn->dx, &rnn->da0,  &rnn->dc0};
    for (const memory *result : results)
        if (*result)
            *output++ = static_cast<const float *>(result->get_data_handle());
}
}
