"""When non-voters get their vote."""

from __future__ import annotations

from pyconsul.server.promotion import Promotion, PromotionPolicy, ServerHealth, removable


def health(id_: str = "b", alive: bool = True, contact: float = 0.0, trailing: int = 0) -> ServerHealth:
    return ServerHealth(id_, False, alive, contact, trailing)


def test_the_first_servers_need_not_wait() -> None:
    assert Promotion(PromotionPolicy(), 100.0).due(101.0, [health()]) == ["b"]


def test_later_ones_wait_until_they_were_healthy_for_the_stabilization_time() -> None:
    promotion = Promotion(PromotionPolicy(), 0.0)
    assert promotion.due(60.0, [health()]) == []
    assert promotion.due(69.9, [health()]) == []
    assert promotion.due(70.0, [health()]) == ["b"]


def test_any_sickness_starts_the_wait_anew() -> None:
    for sick in (health(alive=False), health(contact=0.3), health(trailing=251)):
        promotion = Promotion(PromotionPolicy(), 0.0)
        assert promotion.due(60.0, [health()]) == []
        assert promotion.due(65.0, [sick]) == []
        assert promotion.due(70.0, [health()]) == []
        assert promotion.due(80.0, [health()]) == ["b"]


def test_voters_are_left_alone() -> None:
    assert Promotion(PromotionPolicy(), 0.0).due(5.0, [ServerHealth("a", True, True, 0.0, 0)]) == []


def test_dead_servers_are_removed_only_while_a_majority_stays() -> None:
    assert removable(["a"], 3, 0) == ["a"]
    assert removable(["a", "b"], 3, 0) == []
    assert removable(["a", "b"], 5, 0) == ["a", "b"]
    assert removable(["a", "b"], 5, 4) == []
