"""The wordings of the built-in games, as data: three paraphrases of the rules, renamed actions, swapped order.

Each states the facts that the game's own rules state, neither more nor fewer, at about their length, and asks for an
answer of the same form. ``renamed`` keeps the sentences and gives the actions names that mean nothing: colours, which
most tokenizers hold as single tokens. ``swapped`` names the actions the other way round, and with them the outcomes.
Where actions are numbers none can be renamed, and ``items`` orders them by a reply's own form.
"""

from __future__ import annotations

from sepo.games.wording import Wording

KUHN = (
    Wording(
        "paraphrase-1",
        "This is Kuhn poker with a deck of king, queen and jack, in that order of strength, the king best. Each of "
        "the two players antes 1 chip and is dealt one card. To bet costs 1 chip. Facing a bet, a player calls, which "
        "costs 1 chip too, or folds and loses. If nobody folds, the higher card takes all the chips. Reply with one "
        "word.",
    ),
    Wording(
        "paraphrase-2",
        "You play Kuhn poker against one other player. Both of you pay 1 chip and receive one card out of jack, queen "
        "and king (a queen beats a jack, a king beats both). Whoever bets adds 1 chip; the other then adds 1 chip to "
        "call, or folds and has lost. Without a fold all chips go to the better card. Say one word.",
    ),
    Wording(
        "paraphrase-3",
        "Game: Kuhn poker, two players. Deck: jack (lowest), queen, king (highest). Ante: 1 chip each. Deal: one card "
        "each. Bet: 1 chip. After a bet by the other: call for 1 chip, or fold and lose. Winner with no fold: the "
        "higher card, all chips. Your answer: one word.",
    ),
    Wording(
        "renamed",
        "Kuhn poker. Three cards: jack, queen, king; the king is highest. Two players put in 1 chip and get one card "
        "each. Blue puts in nothing, green puts in 1 chip. After green the other player may say black and put in 1 "
        "chip, or say white and lose. With no white the higher card wins all chips. Answer with one word.",
        {
            "They check": "They say blue",
            "They bet": "They say green",
            "checked": "said blue",
            "I check": "I say blue",
            "I bet": "I say green",
            "I call": "I say black",
            "I fold": "I say white",
            "check": "blue",
            "bet": "green",
            "call": "black",
            "fold": "white",
        },
    ),
    Wording(
        "swapped",
        "Kuhn poker. Three cards: jack, queen, king; the king is highest. Two players put in 1 chip and get one card "
        "each. A bet is 1 chip. After a bet the other player may fold and lose or call with 1 chip. With no fold the "
        "higher card wins all chips. Answer with one word.",
        {"check or bet": "bet or check", "call or fold": "fold or call"},
    ),
)

IPD = (
    Wording(
        "paraphrase-1",
        "You and one other player meet for {rounds} rounds of the prisoner's dilemma. In each both choose "
        "simultaneously to cooperate or defect. If both cooperate, each scores 3 points; if both defect, 1; if just "
        "one defects, that one scores 5 and the other 0. Reply with one word.",
    ),
    Wording(
        "paraphrase-2",
        "Two players, {rounds} rounds of the prisoner's dilemma. Cooperate or defect is what each decides every "
        "round, both at the same time. You get 3 points if you both cooperate, 5 if you alone defect, 1 if you both "
        "defect and 0 if you alone cooperate; the same goes for the other player. Say one word.",
    ),
    Wording(
        "paraphrase-3",
        "Game: prisoner's dilemma, two players. Rounds: {rounds}. Simultaneous moves: cooperate or defect. Points per "
        "round: both cooperate, 3 each; both defect, 1 each; one defects alone, 5 for that one and 0 for the other. "
        "Your answer: one word.",
    ),
    Wording(
        "renamed",
        "Prisoner's dilemma, {rounds} rounds. Each round both players say blue or green at the same time. Both say "
        "blue: 3 points each. Both say green: 1 each. One says green alone: 5 for that player, 0 for the other. "
        "Answer with one word.",
        {
            "cooperated": "said blue",
            "defected": "said green",
            "cooperating": "saying blue",
            "defecting": "saying green",
            "I cooperate": "I say blue",
            "I defect": "I say green",
            "they cooperate": "they say blue",
            "they defect": "they say green",
            "cooperate": "blue",
            "defect": "green",
        },
    ),
    Wording(
        "swapped",
        "Prisoner's dilemma, {rounds} rounds. Each round both players say defect or cooperate at the same time. One "
        "defects alone: 5 points for the defector, 0 for the other. Both defect: 1 each. Both cooperate: 3 each. "
        "Answer with one word.",
    ),
)

AUCTION = (
    Wording(
        "paraphrase-1",
        "You and one other player meet in {rounds} rounds of a sealed-bid auction. In each both get a secret value, 2 "
        "or 4, and bid simultaneously: low is 1, medium 2, high 3. Whoever bids more wins and scores their value less "
        "their bid; the other scores 0. {overbid_loss} Equal bids are settled by coin after the last round. Reply "
        "with one word.",
        switches={
            "overbid_loss": (
                "Winning with a bid above the value scores 0.",
                "Winning with a bid above the value loses the difference.",
            )
        },
    ),
    Wording(
        "paraphrase-2",
        "Two players, {rounds} rounds, one item for sale in each. What it is worth to a player, 2 or 4, is new every "
        "round and known to that player alone. Both bid at the same time: low = 1, medium = 2, high = 3. The larger "
        "bid gets the item and scores value minus bid, {overbid_loss}; the smaller scores 0. For ties a coin is "
        "tossed after the final round. Say one word.",
        switches={
            "overbid_loss": ("or 0 if the bid exceeds the value", "a loss if the bid exceeds the value"),
        },
    ),
    Wording(
        "paraphrase-3",
        "Game: sealed-bid auction, two players. Rounds: {rounds}. Private values, dealt every round: 2 or 4. "
        "Simultaneous bids: low (1), medium (2), high (3). Score: value minus bid for the higher bid, 0 for the "
        "other. Winning above the value: {overbid_loss}. Ties: a coin decides after the last round. Your answer: one "
        "word.",
        switches={"overbid_loss": ("scores 0", "costs the difference")},
    ),
    Wording(
        "renamed",
        "Sealed-bid auction, {rounds} rounds. Each round both players get a private value, 2 or 4, and bid at the "
        "same time: blue (1), green (2) or white (3). The higher bid wins and scores value minus bid, the other 0. A "
        "winning bid above the value {overbid_loss}. A coin decides ties after the last round. Answer with one word.",
        {"low": "blue", "Low": "Blue", "medium": "green", "high": "white"},
        {"overbid_loss": ("scores 0", "costs the difference")},
    ),
    Wording(
        "swapped",
        "Sealed-bid auction, {rounds} rounds. Each round both players get a private value, 2 or 4, and bid at the "
        "same time: high (3), medium (2) or low (1). The higher bid wins and scores value minus bid, the other 0. A "
        "winning bid above the value {overbid_loss}. A coin decides ties after the last round. Answer with one word.",
        {"Low, medium or high": "High, medium or low"},
        {"overbid_loss": ("scores 0", "costs the difference")},
    ),
)

SPLIT = (
    Wording(
        "paraphrase-1",
        "In each of {rounds} rounds you and another player share 10 points. Both say simultaneously how many they "
        "want, from 1 to 9. If the two numbers total 10 or less, each scores what they asked for; if they total more, "
        "each scores 0. Reply with one digit.",
    ),
    Wording(
        "paraphrase-2",
        "Two players bargain over 10 points in every one of {rounds} rounds. They demand between 1 and 9 of them, "
        "neither knowing what the other demands. Demands that come to no more than 10 are paid to both players; "
        "larger ones leave both with 0. Say one digit.",
    ),
    Wording(
        "paraphrase-3",
        "Game: bargaining, two players. Rounds: {rounds}. At stake in a round: 10 points. Simultaneous moves: a "
        "demand of 1 to 9 points. Score: your own demand if both demands sum to at most 10, otherwise 0 for both. "
        "Your answer: one digit.",
    ),
    Wording(
        "swapped",
        "Bargaining over 10 points, {rounds} rounds. Each round both players demand 9 down to 1 points at the same "
        "time. If the demands sum to more than 10, both score 0; otherwise both score their own demand. Answer with "
        "one digit.",
    ),
)

ITEMS = (
    Wording(
        "paraphrase-1",
        "You and another player divide books, hats and balls, out of the same pool in each of {rounds} rounds. Both "
        "say simultaneously how many of each they want. If there are enough for both, each gets what they asked for "
        "and scores what those units are worth by their own values; if not, both score 0. Values are secret; a "
        "player's three sum to 10.{redraw_opponent_values} Reply with three numbers, books hats balls, such as 1 0 1.",
        switches={"redraw_opponent_values": ("", " In every round one of you gets new values.")},
    ),
    Wording(
        "paraphrase-2",
        "Two players bargain for {rounds} rounds over books, hats and balls; the pool stays the same. Every round "
        "they make demands simultaneously. Demands that fit into the pool together are met, and pay each player its "
        "values of the units it gets; other demands pay 0 to both. A player's three values add up to 10 and are known "
        "to it alone.{redraw_opponent_values} Say three numbers, books hats balls, such as 1 0 1.",
        switches={"redraw_opponent_values": ("", " Those of one player change each round.")},
    ),
    Wording(
        "paraphrase-3",
        "Game: bargaining, two players. Rounds: {rounds}, all over the same pool. Items: books, hats, balls. "
        "Simultaneous moves: how many of each to demand. Score: your values of the units you demand if the pool holds "
        "both demands, otherwise 0 for both. Values: private, the three of a player sum to "
        "10{redraw_opponent_values}. Your answer: three numbers, books hats balls, such as 1 0 1.",
        switches={"redraw_opponent_values": ("", "; one player's are new each round")},
    ),
)

COMMONS = (
    Wording(
        "paraphrase-1",
        "You and another player share a stock of {stock} units for {rounds} rounds. In each round both choose at the "
        "same time what to take: low is 1 unit, medium 2, high 3, and every unit scores 1 point. The takes leave the "
        "stock, which then regrows by 2 if they sum to at most 3, by 1 if they sum to 4. Out of an empty stock high "
        "scores 1 point, the others 0. Reply with one word.",
    ),
    Wording(
        "paraphrase-2",
        "Two players draw on one stock, {stock} units at first, over {rounds} rounds. Each round they take low (1 "
        "unit), medium (2) or high (3), neither knowing the other's choice, and score a point per unit. The stock "
        "then loses both takes and gains 2 units if these were no more than 3 together, or 1 unit if they were 4. "
        "While it is empty high scores 1 and all else 0. Say one word.",
    ),
    Wording(
        "paraphrase-3",
        "Game: common stock, two players. Units at first: {stock}. Rounds: {rounds}. Simultaneous moves: take low "
        "(1), medium (2) or high (3). Points: one per unit taken; when the stock is empty, 1 for high and 0 for the "
        "others. Stock after a round: less both takes, then plus 2 if these total at most 3, plus 1 if 4. Your "
        "answer: one word.",
    ),
    Wording(
        "renamed",
        "A common stock of {stock} units, {rounds} rounds. Each round both players take blue (1), green (2) or white "
        "(3) at the same time; a unit taken is a point. Then the stock falls by what was taken and grows: by 2 if "
        "both together took at most 3, by 1 if they took 4. When it is empty, white pays 1 point and the others 0. "
        "Answer with one word.",
        {"low": "blue", "medium": "green", "high": "white"},
    ),
    Wording(
        "swapped",
        "A common stock of {stock} units, {rounds} rounds. Each round both players take high (3), medium (2) or low "
        "(1) at the same time; a unit taken is a point. Then the stock falls by what was taken and grows: by 1 if "
        "both together took 4, by 2 if they took at most 3. When it is empty, high pays 1 point and the others 0. "
        "Answer with one word.",
    ),
)
