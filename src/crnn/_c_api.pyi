v1: object
