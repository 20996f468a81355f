// A stepper that belongs to one object, for C++11 and later: it is destroyed with it, and errors
// are exceptions. Steps are noexcept, for audio threads.
#ifndef STEPPER_HPP
#define STEPPER_HPP

#include <crnn_stepper.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

class Stepper {
  public:
    // The path is in UTF-8. Throws std::runtime_error, whose message says what is wrong with the
    // file.
    explicit Stepper(const std::string &path, std::ptrdiff_t m = 1) {
        crnn_stepper *made = nullptr;
        const int status = crnn_stepper_create_from_file(path.c_str(), m, &made);
        stepper_.reset(made);
        if (status != CRNN_OK)
            throw std::runtime_error(path + ": " + crnn_status_message(status));
        sizes_.struct_size = sizeof sizes_;
        crnn_stepper_get_sizes(made, &sizes_);
        if (sizes_.dtype != CRNN_FLOAT32)
            throw std::runtime_error(path + ": expected a model of float32");
    }

    const crnn_stepper_sizes &sizes() const noexcept { return sizes_; }

    // x has m * n_x numbers and y has m * n_y. Whether the pointers could be used.
    bool step(const float *x, float *y) noexcept {
        return crnn_stepper_step(stepper_.get(), x, y) == CRNN_OK;
    }

    void reset() noexcept { crnn_stepper_reset(stepper_.get()); }

    std::vector<char> state() const {
        std::vector<char> bytes(sizes_.state_bytes);
        crnn_stepper_get_state(stepper_.get(), bytes.data(), bytes.size());
        return bytes;
    }

    void set_state(const std::vector<char> &bytes) {
        const int status = crnn_stepper_set_state(stepper_.get(), bytes.data(), bytes.size());
        if (status != CRNN_OK)
            throw std::runtime_error(crnn_status_message(status));
    }

  private:
    struct Destroy {
        void operator()(crnn_stepper *stepper) const noexcept { crnn_stepper_destroy(stepper); }
    };
    std::unique_ptr<crnn_stepper, Destroy> stepper_;
    crnn_stepper_sizes sizes_{};
};

#endif
