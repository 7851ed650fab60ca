"""The nine claims, in the order of the paper's argument.

Sections are those of arXiv 2202.06709: 2 (what MSAs do to the optimization), 3 (whether
they act like Convs), 4 (how to harmonise the two).
"""

from nas.claims.claim import Claim, Part
from nas.claims.networks import ALTERNET, RESNET, VIT, VIT_3, VIT_5

VIT_OVER_RESNET = {VIT: 1.0, RESNET: -1.0}
GLOBAL_OVER_LOCAL = {VIT: 1.0, VIT_5: -0.5, VIT_3: -0.5}
WITH_MSAS = {VIT: 0.5, ALTERNET: 0.5}
WITH_CONVS = {RESNET: 0.5, ALTERNET: 0.5}
HYBRID_OVER_CNN = {ALTERNET: 1.0, RESNET: -1.0}

CLAIMS = (
    Claim(
        1,
        "MSAs flatten the loss, but make it less convex",
        "sec. 2, Fig. 1 and 4",
        (
            Part("log_ape", "ViT over ResNet: average positive max eigenvalue",
                 VIT_OVER_RESNET, -1, "log ratio"),
            Part("log_hessian_max", "ViT over ResNet: largest eigenvalue",
                 VIT_OVER_RESNET, -1, "log ratio"),
            Part("nep", "ViT minus ResNet: share of negative max eigenvalues",
                 VIT_OVER_RESNET, 1, "fraction"),
        ),
        "That flatness is why a network is accurate: the two differ in everything "
        "else too. Eigenvalues scale with the weights of networks without norms, and "
        "small or barely trained networks have other spectra than the paper's after "
        "300 epochs.",
    ),
    Claim(
        2,
        "The gain of attention is that it is data specific, not that it reaches far: "
        "local attention trains and tests better than global",
        "sec. 2, Conv-ViT with kernels 3, 5 and 8",
        (
            Part("test_error", "global minus 5x5: test error",
                 {VIT: 1.0, VIT_5: -1.0}, 1, "fraction"),
            Part("test_error", "global minus 3x3: test error",
                 {VIT: 1.0, VIT_3: -1.0}, 1, "fraction"),
            Part("train_nll", "global minus local (mean of both): training NLL",
                 GLOBAL_OVER_LOCAL, 1, "nats"),
            Part("nep", "global minus local (mean of both): share of negative max "
                 "eigenvalues", GLOBAL_OVER_LOCAL, 1, "fraction"),
        ),
        "Anything about large data or large images, where the reach may matter. The "
        "neighbourhoods are masks; the paper's Conv-ViT computes windows of keys.",
    ),
    Claim(
        3,
        "MSAs are low-pass filters, Convs are high-pass filters",
        "sec. 3, Fig. 2a and 8",
        (
            Part("low_pass_msa", "MSA blocks, stream: high frequencies taken away",
                 WITH_MSAS, 1, "nats"),
            Part("low_pass_branch_msa", "MSA blocks, branch: the same",
                 WITH_MSAS, 1, "nats"),
            Part("low_pass_conv", "Conv blocks, stream: the same",
                 WITH_CONVS, -1, "nats"),
            Part("low_pass_branch_conv", "Conv blocks, branch: the same",
                 WITH_CONVS, -1, "nats"),
        ),
        "Any single block: these are means over blocks (the figure has each). Maps of "
        "a few pixels have few frequencies, and the paper measured 224 px networks.",
    ),
    Claim(
        4,
        "CNNs are vulnerable to high-frequency noise, ViTs robust to it",
        "sec. 3, Fig. 2b",
        (
            Part("noise_drop_high", "ResNet minus ViT: accuracy lost to noise from "
                 "0.7 pi", {RESNET: 1.0, VIT: -1.0}, 1, "fraction"),
            Part("noise_share_high", "ResNet minus ViT: the same as a share of the "
                 "accuracy without noise", {RESNET: 1.0, VIT: -1.0}, 1, "fraction"),
        ),
        "Robustness to other damage. The bands have equal energy here, not in the "
        "paper; a network with less accuracy has less to lose, which is why the share "
        "must agree.",
    ),
    Claim(
        5,
        "MSAs reduce the variance of feature maps, Convs raise it",
        "sec. 3, Fig. 9",
        (
            Part("variance_change_msa", "MSA blocks: log(variance after / before)",
                 WITH_MSAS, -1, "nats"),
            Part("variance_change_conv", "Conv blocks: log(variance after / before)",
                 WITH_CONVS, 1, "nats"),
        ),
        "That less variance is what makes a network better. MLP blocks, which raise "
        "it in the paper's ViT, are in the figure only.",
    ),
    Claim(
        6,
        "Multi-stage networks behave like a series of small models",
        "sec. 4, Fig. 10, D.3 and D.4",
        (
            Part("cka_stages", "ResNet: CKA within stages minus across, at equal "
                 "distance", {RESNET: 1.0}, 1, "CKA"),
            Part("cka_stages", "ResNet minus ViT (cut into as many parts)",
                 {RESNET: 1.0, VIT: -1.0}, 1, "CKA"),
            Part("lesion_first_over_last", "ResNet: accuracy lost without a stage's "
                 "first block minus its last", {RESNET: 1.0}, 1, "fraction"),
        ),
        "A period: two or three stages of a few blocks are too short for one. A first "
        "block also changes width and resolution, so that removing it is a greater "
        "damage in any network. CKA has no error of images here.",
    ),
    Claim(
        7,
        "An MSA belongs at the end of a stage",
        "sec. 4.1, Fig. 12",
        (),
        "See docs/rule.md: placements of one backbone, one recipe, one budget.",
    ),
    Claim(
        8,
        "The hybrid built by the rule beats its CNN at equal budget, also on little "
        "data",
        "sec. 4.2, Fig. 12",
        (
            Part("test_error", "AlterNet minus ResNet: test error, all images",
                 HYBRID_OVER_CNN, -1, "fraction"),
            Part("test_error_few", "AlterNet minus ResNet: test error, few images",
                 HYBRID_OVER_CNN, -1, "fraction"),
        ),
        "That the place of the MSAs is what helps: other placements of as many are "
        "not trained here (claim 7). Both are far from their best accuracy at a small "
        "budget, and MACs, not time, are equal.",
    ),
    Claim(
        9,
        "A weaker inductive bias is worse in test error and in training NLL: it does "
        "not overfit, it is hard to train",
        "sec. 2, Fig. 1 and C.1",
        (
            Part("test_error", "ViT minus ResNet: test error",
                 VIT_OVER_RESNET, 1, "fraction"),
            Part("train_nll", "ViT minus ResNet: training NLL",
                 VIT_OVER_RESNET, 1, "nats"),
        ),
        "An order of all degrees of bias (the paper has seven networks), or what more "
        "data and epochs would do.",
    ),
)  # fmt: skip
"""The rows of the table."""
