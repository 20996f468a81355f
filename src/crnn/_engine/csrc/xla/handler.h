/* rnn_forward and rnn_backward as XLA calls them. */
#ifndef CRNN_XLA_HANDLER_H
#define CRNN_XLA_HANDLER_H

#include "abi.h"
#include "crnn.h"

/* The functions that the handlers call. Set it before the handlers are registered. */
extern const crnn_c_api *crnn_xla_api;

/* Operands: x (T, m, n_x) or symbols (T, m), Waa, Wax, a0, lengths (m), ba. Result: a.
 * Attributes of both handlers: activation (enum crnn_activation) and reverse. Integer operands have
 * 32 or 64 bits, attributes 32. */
xla_error *crnn_xla_forward(xla_frame *frame);

/* Operands: x or symbols, Waa, Wax, a0, lengths, a, da. Results: dWaa, dWax, dba, da0 and,
 * optionally, dx. */
xla_error *crnn_xla_backward(xla_frame *frame);

#endif
