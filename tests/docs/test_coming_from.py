"""The page "Coming from" names only what exists, and every public name of TensorFlow Addons and keras-contrib."""

import functools
import importlib
import inspect
import re
from pathlib import Path

import keras
import optax
import pytest
import scipy.optimize
import torch

import keras_lecture

pytestmark = pytest.mark.once

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "coming_from.md").read_text(encoding="utf-8")

# The imports of `tensorflow_addons/*/__init__.py` at version 0.23, and the modules beside them.
ADDONS = {
    "tfa.activations": "gelu hardshrink lisht mish softshrink rrelu snake sparsemax tanhshrink",
    "tfa.callbacks": "AverageModelCheckpoint TimeStopping TQDMProgressBar",
    "tfa.image": """adjust_hsv_in_yiq blend equalize sharpness connected_components cutout dense_image_warp
        euclidean_dist_transform interpolate_bilinear interpolate_spline gaussian_filter2d mean_filter2d median_filter2d
        random_cutout random_hsv_in_yiq resampler rotate shear_x shear_y sparse_image_warp compose_transforms
        angles_to_projective_transforms transform translate translate_xy translations_to_projective_transforms""",
    "tfa.layers": """AdaptiveAveragePooling1D AdaptiveMaxPooling1D AdaptiveAveragePooling2D AdaptiveMaxPooling2D
        AdaptiveAveragePooling3D AdaptiveMaxPooling3D EmbeddingBag GELU MaxUnpooling2D MaxUnpooling2DV2 Maxout
        MultiHeadAttention FilterResponseNormalization GroupNormalization InstanceNormalization CorrelationCost
        PoincareNormalize PolynomialCrossing Snake Sparsemax SpectralNormalization SpatialPyramidPooling2D TLU
        WeightNormalization ESN StochasticDepth NoisyDense CRF""",
    "tfa.losses": """contrastive_loss ContrastiveLoss sigmoid_focal_crossentropy SigmoidFocalCrossEntropy giou_loss
        GIoULoss lifted_struct_loss LiftedStructLoss sparsemax_loss SparsemaxLoss triplet_semihard_loss
        triplet_hard_loss TripletSemiHardLoss TripletHardLoss pinball_loss PinballLoss npairs_loss NpairsLoss
        npairs_multilabel_loss NpairsMultilabelLoss WeightedKappaLoss""",
    "tfa.metrics": """CohenKappa F1Score FBetaScore HammingLoss hamming_distance hamming_loss_fn MeanMetricWrapper
        MatthewsCorrelationCoefficient MultiLabelConfusionMatrix RSquare GeometricMean HarmonicMean KendallsTauB
        KendallsTauC PearsonsCorrelation SpearmansRank""",
    "tfa.optimizers": """KerasLegacyOptimizer AveragedOptimizerWrapper ConditionalGradient CyclicalLearningRate
        TriangularCyclicalLearningRate Triangular2CyclicalLearningRate ExponentialCyclicalLearningRate MultiOptimizer
        LAMB LazyAdam Lookahead MovingAverage NovoGrad ProximalAdagrad RectifiedAdam SWA AdamW AdaBelief SGDW
        extend_with_decoupled_weight_decay DecoupledWeightDecayExtension Yogi COCOB""",
    "tfa.rnn": "NASCell LayerNormLSTMCell LayerNormSimpleRNNCell ESNCell PeepholeLSTMCell",
    "tfa.seq2seq": """AttentionMechanism AttentionWrapper AttentionWrapperState BahdanauAttention
        BahdanauMonotonicAttention LuongAttention LuongMonotonicAttention hardmax monotonic_attention safe_cumprod
        BasicDecoder BasicDecoderOutput BeamSearchDecoder BeamSearchDecoderOutput BeamSearchDecoderState
        FinalBeamSearchDecoderOutput gather_tree gather_tree_from_array tile_batch BaseDecoder Decoder dynamic_decode
        SequenceLoss sequence_loss CustomSampler GreedyEmbeddingSampler InferenceSampler SampleEmbeddingSampler Sampler
        ScheduledEmbeddingTrainingSampler ScheduledOutputTrainingSampler TrainingSampler""",
    "tfa.text": """crf CrfDecodeForwardRnnCell crf_binary_score crf_constrained_decode crf_decode crf_decode_backward
        crf_decode_forward crf_filtered_inputs crf_forward crf_log_likelihood crf_log_norm crf_multitag_sequence_score
        crf_sequence_score crf_unary_score viterbi_decode CRFModelWrapper parse_time skip_gram_sample
        skip_gram_sample_with_text_vocab""",
    "tfa": "options register_all types",
}
# Those of `keras_contrib/*/__init__.py` at its last commit, without the lower-case aliases.
CONTRIB = """squash SnapshotCallbackBuilder SnapshotModelCheckpoint DeadReluDetector CyclicLR TensorBoardGrouped PELU
    SReLU Swish SineReLU CosineConv2D CosineConvolution2D SubPixelUpscaling CosineDense CRF Capsule
    InstanceNormalization GroupNormalization DSSIMObjective jaccard_distance crf_loss crf_nll crf_accuracy
    crf_marginal_accuracy crf_viterbi_accuracy FTML Padam Yogi LARS ConvolutionAware Clip DenseNet ResNet ResNet18
    ResNet34 ResNet50 ResNet101 ResNet152 WideResidualNetwork NASNet NASNetLarge NASNetMobile"""
OURS = (*keras_lecture.__all__,)


def section(title):
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text):
    """The three cells of each row, without the headings of the tables."""
    lines = [line[1:-1].split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells] for cells in lines if not cells[0].startswith("---")]


def code(cell):
    return re.findall(r"`([^`]+)`", cell)


def paths(text):
    """The dotted names of ours and of Keras anywhere in the text, arguments included."""
    return sorted(set(re.findall(rf"(?<![\w.])((?:keras|{'|'.join(OURS)})\.\w[\w.]*\w)", " ".join(code(text)))))


def found(path):
    owner = keras if path.startswith("keras.") else keras_lecture
    return functools.reduce(getattr, path.removeprefix("keras.").split("."), owner)


@pytest.mark.parametrize("path", paths(PAGE))
def test_every_name_of_ours_and_of_keras_exists(path):
    assert found(path) is not None


def test_the_page_is_read():
    """The test above runs for nothing if the page has another form."""
    assert len(paths(PAGE)) >= 100 and {"optimizers.schedules.Cyclical", "keras.optimizers.Lamb"} <= set(paths(PAGE))


def test_every_public_name_of_tensorflow_addons_has_one_row():
    seen, module = {}, None
    for name, *_ in rows(section("TensorFlow Addons 0.23")):
        if name.startswith("**"):
            module = name.strip("*")
            seen[module] = []
        elif module:
            seen[module] += code(name)
    assert {module: sorted(names) for module, names in seen.items()} == {
        module: sorted(names.split()) for module, names in ADDONS.items()
    }


def test_every_public_name_of_keras_contrib_has_one_row():
    names = [name for cell, *_ in rows(section("keras-contrib")) for name in code(cell)]
    assert sorted(names) == sorted(CONTRIB.split())


@pytest.mark.parametrize(
    ("title", "module"), [("torch.optim", torch.optim), ("optax", optax), ("SciPy", scipy.optimize)]
)
def test_the_names_on_the_left_exist_where_they_can_be_imported(title, module):
    places = [module, *([torch.optim.lr_scheduler, torch.nn.utils, torch.amp] if title == "torch.optim" else [])]
    for cell, *_ in rows(section(title)):
        for text in code(cell):
            name = re.match(r"[\w.]+", text)[0]
            if name.startswith(("scipy.", "torch.")):
                importlib.import_module(name.rpartition(".")[0])
            elif not re.fullmatch(
                r"params|lr|betas|eps|weight_decay|decoupled_weight_decay|amsgrad|maximize|" + FLAGS, name
            ):
                assert any(_has(place, name) for place in places), f"{title} has no {name}"


FLAGS = "foreach|fused|capturable|differentiable"


def _has(module, path):
    try:
        functools.reduce(getattr, path.split("."), module)
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RAdam])
def test_every_argument_of_pytorchs_optimizers_is_on_the_page(optimizer):
    text = " ".join(code(section("torch.optim")))
    for name in inspect.signature(optimizer).parameters:
        assert re.search(rf"\b{name}\b", text), f"{optimizer.__name__}: {name}"


def _calls():
    """`(class, keyword)` for each keyword argument of ours in the page's calls."""
    for path, arguments in re.findall(rf"`((?:{'|'.join(OURS)})\.[\w.]+)\(([^`]*?)\)", PAGE):
        for name in re.findall(r"(?:^|, )(\w+)=", arguments):
            yield path, name


@pytest.mark.parametrize(("path", "argument"), sorted(set(_calls())))
def test_the_arguments_of_ours_exist(path, argument):
    parameters = inspect.signature(found(path)).parameters
    # The arguments of every rule arrive in `kwargs`.
    names = {
        *parameters,
        *(inspect.signature(keras_lecture.optimizers.Rule).parameters if "kwargs" in parameters else ()),
    }
    assert argument in names
