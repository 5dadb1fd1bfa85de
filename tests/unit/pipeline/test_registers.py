"""Registers keep out of each other's way."""

from itertools import combinations

from ovenbird.pipeline.registers import REGISTERS, Register
from ovenbird.pipeline.stages import stage


def test_no_two_registers_in_use_in_one_stage_share_bits():
    assert len(REGISTERS) > 10
    assert [(a.name, b.name) for a, b in combinations(REGISTERS, 2) if a.collides(b)] == []


def test_each_range_of_use_is_within_one_pipeline():
    for register in REGISTERS:
        for first, last in register.lives:
            assert first.pipeline == last.pipeline
            assert first.table <= last.table


def test_collisions_are_found():
    life = ((stage("ls_in_acl"), stage("ls_in_stateful")),)
    later = ((stage("ls_in_arp_rsp"), stage("ls_in_l2_lkup")),)
    word, bit = (
        Register("word", register="reg0", low=0, high=31, lives=life),
        Register("bit", register="reg0", low=5, high=5, lives=life),
    )
    assert word.collides(bit)
    assert not bit.collides(Register("other bit", register="reg0", low=6, high=6, lives=life))
    assert not bit.collides(Register("later", register="reg0", low=5, high=5, lives=later))
    assert not bit.collides(Register("elsewhere", register="reg1", low=5, high=5, lives=life))


def test_a_register_is_written_as_in_a_match():
    life = ((stage("ls_in_acl"), stage("ls_in_stateful")),)
    assert str(Register("", register="reg3", low=0, high=31, lives=life)) == "reg3"
    assert str(Register("", register="reg0", low=7, high=7, lives=life)) == "reg0[7]"
    assert str(Register("", register="reg0", low=4, high=7, lives=life)) == "reg0[4..7]"
