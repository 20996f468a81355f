forward: object
backward: object
