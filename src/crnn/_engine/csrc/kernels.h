/* Everything over the vocabulary included before this file, for one dtype. */
#include "tanh.h"

#include "elementwise.h"
#include "transpose.h"

#include "tile.h"

#include "linear.h"

#include "sequence.h"

#include "training.h"

#include "streaming.h"

static const crnn_operations V(operations) = {
    .rnn_forward = V(rnn_forward),
    .rnn_backward = V(rnn_backward),
    .linear_forward = V(linear_forward),
    .linear_backward = V(linear_backward),
    .rnn_workspace = V(rnn_workspace),
    .linear_workspace = V(linear_workspace),
    .stream_step = V(stream_step),
    .pack = V(pack_for_stream),
    .padded = V(padded),
    .finish = V(finish_all),
    .sum_rows = V(sum_all_rows),
    .softmax = V(softmax),
    .cross_entropy = V(cross_entropy),
    .sum_squares = V(sum_squares),
    .all_finite = V(all_finite),
    .sgd = V(sgd),
    .adam = V(adam),
};

#undef TILE_REGS
#undef PANEL
