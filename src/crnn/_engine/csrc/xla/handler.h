/* The functions of the C interface as XLA calls them, for the vanilla cell, the GRU and the LSTM.
 */
#ifndef CRNN_XLA_HANDLER_H
#define CRNN_XLA_HANDLER_H

#include "abi.h"
#include "crnn.h"

/* The functions that the handlers call. Set it before the handlers are registered. */
extern const crnn_c_api *crnn_xla_api;

/* Operands: x (T, m, n_x) or symbols (T, m), Waa, Wax, a0, lengths (m), ba; GRU: baa; LSTM: c0.
 * Results: a; LSTM: c_n; and, optionally, what backward needs besides, kept (T, m, 4 n_a) for a GRU
 * and (T, m, 5 n_a) for an LSTM.
 * Attributes of all handlers: activation (enum crnn_activation) and reverse. Integer operands have
 * 32 or 64 bits, attributes 32. */
xla_error *crnn_xla_rnn_forward(xla_frame *frame);
xla_error *crnn_xla_gru_forward(xla_frame *frame);
xla_error *crnn_xla_lstm_forward(xla_frame *frame);

/* Operands: x or symbols, Waa, Wax, a0, lengths; LSTM: c0; a; GRU and LSTM: kept; da; LSTM: dc_n.
 * Results: dWaa, dWax, dba, da0; GRU: dbaa; LSTM: dc0; and, optionally, dx. */
xla_error *crnn_xla_rnn_backward(xla_frame *frame);
xla_error *crnn_xla_gru_backward(xla_frame *frame);
xla_error *crnn_xla_lstm_backward(xla_frame *frame);

#endif
