# The experiments of docs/results.md with the paper's settings: `sh docs/results.sh IMAGES PHOTOS MODELS`, in the source
# directory.
#
# IMAGES has images with object masks and labels.csv, PHOTOS has images with labels.csv, MODELS has the weights.
# Run it again to resume. It takes days of one CPU core, or minutes of a GPU and 16 cores; several commands can run at the
# same time with the same store.
set -e
export PYTHONPATH=docs OMP_NUM_THREADS=1
# With glibc, memory is kept between batches: otherwise its pages are cleared anew each time, which takes a third of the
# time of fills.
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296

images="--data $1 --shuffle-seed 0 --store results.db"
photos="--data $2 --shuffle-seed 0 --store photos.db"

resnet="--model torchvision:resnet50 --weights torchvision:resnet50=$3/resnet50.pt --precision float32"
squeezenet="--model torchvision:squeezenet1_1 --weights torchvision:squeezenet1_1=$3/squeezenet1_1.pt \
    --preprocess torchvision:squeezenet1_1=caffe,crop=227 --precision float32"
deit="--model deit:deit_tiny --weights deit:deit_tiny=$3/deit_tiny.pt --precision float32"
lite="--model lite0 --precision float32"

all="--maskings black,grey,neighbor,layer-zero,layer"
some="--maskings black,grey,neighbor,layer"
four="--maskings black,grey,layer,layer-unscaled"
thresholds="layer-threshold:0.1,layer-threshold:0.2,layer-threshold:0.3"
evaluate() { xai-layermask evaluate "$@"; }

# Tables 1, 3, 4, 8 and 11.
evaluate robustness $images --limit 60 $lite $all
evaluate robustness $images --limit 60 $squeezenet $all
evaluate robustness $images --limit 60 $resnet $all
evaluate robustness $images --limit 60 $deit $some
evaluate paper --table 3 $images --limit 60 $resnet
evaluate paper --figure 9 $images --limit 60 $resnet
evaluate robustness $photos $resnet $all --segments patches:16
evaluate robustness $photos $lite $all --segments patches:16
evaluate robustness $photos $squeezenet $all --segments patches:16
evaluate robustness $photos $deit $some --segments patches:16

# Tables 2 and 12.
for model in "$lite" "$resnet" "$squeezenet"; do
    evaluate lime $images $model $some
done

# Table 13, figures 6, 7, 10, 11, 17, 18 and 19.
for model in "$lite" "$squeezenet" "$resnet"; do
    evaluate mask-shape $images $model $all
    evaluate collapse $images --limit 40 $model $all
    evaluate linearity $images --limit 40 $model $four
done
evaluate mask-shape $images $deit $some
evaluate collapse $images --limit 40 $deit $some
evaluate linearity $images --limit 40 $deit --maskings black,grey,layer
for model in "$lite" "$resnet" "$squeezenet" "$deit"; do
    evaluate paper --figure 19 $photos $model
done

# Alternatives that are not in the paper. The maps of logits are fitted on other images, most of other classes.
alternatives() {  # the folder of the maps, and the model's options
    maps="calibrated:rivals/$1/calibrated"
    options="$rivals $2 --segments"
    evaluate robustness $options patches:16 --limit 60 --set orders=random --maskings \
        black,grey,layer,layer-soft,layer-threshold:0.3,$maps-black.npz,$maps-grey.npz,$maps-layer.npz
    evaluate lime $options slic:196 --maskings grey,layer,layer-soft,layer-threshold:0.3,$maps-layer.npz
}
rivals="--data $1 --shuffle-seed 0 --store rivals.db"
mkdir -p rivals/lite0 rivals/resnet50 rivals/squeezenet
python docs/calibrate.py "$2" rivals/lite0 lite0
python docs/calibrate.py "$2" rivals/resnet50 torchvision:resnet50 "$3/resnet50.pt"
python docs/calibrate.py "$2" rivals/squeezenet torchvision:squeezenet1_1 "$3/squeezenet1_1.pt" caffe,crop=227
alternatives lite0 "$lite"
alternatives resnet50 "$resnet"
alternatives squeezenet "$squeezenet"
evaluate ablation $images --limit 16 $lite --maskings layer,layer-soft,$thresholds

xai-layermask report results.db --out results
xai-layermask report photos.db --out results/photos
xai-layermask report rivals.db --out results/rivals
python docs/results_tables.py results results/photos results/rivals
