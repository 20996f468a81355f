// Two waves at once from one model, and one of them again from a state that was kept.
//
//     voices MODEL
//
// Prints "right" if both continuations are the same numbers; otherwise "wrong", and exits with 1.
#include "stepper.hpp"

#include <cmath>
#include <cstdio>
#include <exception>

// The model's own continuation of m waves: `steps` rows of m numbers.
static std::vector<float> continued(Stepper &stepper, std::vector<float> x, int steps) {
    std::vector<float> all, y(x.size());
    for (int t = 0; t < steps; t++) {
        stepper.step(x.data(), y.data());
        x = y;
        all.insert(all.end(), y.begin(), y.end());
    }
    return all;
}

int main(int argc, char **argv) try {
    if (argc != 2)
        throw std::runtime_error("usage: voices MODEL");
    Stepper stepper(argv[1], 2);
    if (stepper.sizes().n_x != 1 || stepper.sizes().n_y != 1)
        throw std::runtime_error("expected a model with n_x = n_y = 1");
    std::vector<float> x(2), y(2);
    for (int t = 0; t < 100; t++) {
        x = {std::sin(0.2f * float(t)), std::sin(0.2f * float(t) + 1)};
        stepper.step(x.data(), y.data());
    }
    const std::vector<char> kept = stepper.state();
    const std::vector<float> first = continued(stepper, y, 20);
    stepper.set_state(kept);
    const bool right = continued(stepper, y, 20) == first;
    std::puts(right ? "right" : "wrong");
    return right ? 0 : 1;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
