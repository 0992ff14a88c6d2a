"""The numbers from which each lowering estimates its time."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Costs:
    """What a forward sum's operations take, in nanoseconds; its transpose and inner products take about as long.

    Attributes:
        matmul_start: starting a matmul, however small.
        multiply_add: a multiply-add in a matmul.
        fill: putting a synapse's value into its place in a matrix with gaps, or in a table.
        loop_start: starting a loop through a table, however short.
        tile: an iteration of that loop, however small.
        row: carrying on and writing a sum, for each state and example.
        gather: a multiply-add of a padded gather.
        cell: computing a neuron, for each state and example.
        segment: a multiply-add with `segment_sum`.
        call: calling a kernel in C++, however little it does.
        kernel: a multiply-add of such a kernel.
        copy: reading a number and writing it once more.
        max_rows, max_slots: no time, but the largest tile that is considered.
    """

    matmul_start: float = 3_000.0
    multiply_add: float = 0.01
    fill: float = 0.5
    loop_start: float = 10_000.0
    tile: float = 1_500.0
    row: float = 0.1
    gather: float = 0.03
    cell: float = 0.1
    segment: float = 0.3
    call: float = 3_000.0
    kernel: float = 0.03
    copy: float = 0.2
    max_rows: int = 256
    max_slots: int = 20
