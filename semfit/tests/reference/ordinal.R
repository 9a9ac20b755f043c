# Reference values of semfit.moments.ordinal: lavaan's sample statistics for ordered, numeric and exogenous variables.
# Run: Rscript semfit/tests/reference/ordinal.R (from the root of the repository). Writes ordinal_<case>.json, each with its
# data, and ordinal_sessionInfo.txt. The statistics do not depend on the model: it is never fitted (do.fit = FALSE).
suppressMessages({library(lavaan); library(jsonlite)})
options(warn = 1)
OUT <- "semfit/tests/reference"

# ---- data: Holzinger and Swineford in two to five categories, and a sample so small that cells are empty ------------
set.seed(1939)
hs <- HolzingerSwineford1939
hs$female <- hs$sex - 1
# Centred: lavaan 0.6-14 starts the search for a polyserial correlation from the densities at the thresholds, which lie
# far out when covariates are far from 0; it then ends at its bound, .995, with a warning.
hs$age <- hs$ageyr - 13
hs$months <- hs$agemo - 6                               # since the last birthday
items <- paste0("x", 1:9)
categories <- c(x1 = 5, x2 = 4, x3 = 3, x4 = 5, x5 = 2, x6 = 4, x7 = 3, x8 = 5, x9 = 2)
numeric <- hs
for (name in items) {
  shares <- runif(categories[name], .5, 2)
  cuts <- quantile(hs[[name]], head(cumsum(shares) / sum(shares), -1))
  hs[[name]] <- findInterval(hs[[name]], cuts, left.open = TRUE) + 1
}
mixed <- hs
mixed[c("x2", "x6", "x9")] <- numeric[c("x2", "x6", "x9")]
mixed$x6 <- 40 * mixed$x6                               # another unit
ordered <- setdiff(items, c("x2", "x6", "x9"))

few <- function(latent, cuts, loading = .8)
  findInterval(loading * latent + sqrt(1 - loading^2) * rnorm(length(latent)), cuts)
set.seed(7)
latent <- rnorm(45)
sparse <- data.frame(a = few(latent, c(-1.5, -.7, .4, 1.3)), b = few(latent, c(-1.3, -.4, .7, 1.6)), c = few(latent, .9),
  d = few(latent, -.9, .95), e = few(-latent, c(-1, 1)), f = few(latent, 1))

# ---- write ----------------------------------------------------------------------------------------------------------
statistics <- function(data, ys, ordered, xs = character(0)) {
  model <- paste("common =~", paste(ys, collapse = " + "))
  if (length(xs)) model <- paste0(model, "\ncommon ~ ", paste(xs, collapse = " + "))
  fit <- suppressWarnings(sem(model, data, ordered = ordered, estimator = "WLSMV", do.fit = FALSE))
  stopifnot(identical(lavNames(fit, "ov.nox"), ys), identical(as.character(lavNames(fit, "ov.x")), xs))
  stopifnot(abs(cov2cor(lavInspect(fit, "sampstat")[[if (length(xs)) "res.cov" else "cov"]])[diag(length(ys)) == 0]) < .98)
  gamma <- unclass(lavInspect(fit, "gamma"))
  list(y = ys, ordered = ordered, covariates = I(xs), n = lavInspect(fit, "nobs"), data = as.list(data[c(ys, xs)]),
    moments = names(lavInspect(fit, "wls.obs")), values = as.numeric(lavInspect(fit, "wls.obs")),
    gamma = signif(gamma[lower.tri(gamma, diag = TRUE)], 10))
}
CASES <- list(
  ordinal = statistics(hs, items, items),
  mixed = statistics(mixed, items, ordered),
  one_covariate = statistics(hs, items, items, "female"),
  two_covariates = statistics(mixed, items, ordered, c("age", "female")),
  three_covariates = statistics(mixed[c(1:90, 160:300), ], items, ordered, c("age", "female", "months")),
  sparse = statistics(sparse, names(sparse), names(sparse)))

# correlations of pairs of items, each over the rows that have both
set.seed(3)
holes <- hs[items]
holes[matrix(runif(9 * nrow(holes)) < .1, ncol = 9)] <- NA
pairs <- combn(items, 2)
CASES$missing <- list(y = items, data = as.list(holes), first = pairs[1, ], second = pairs[2, ],
  correlation = apply(pairs, 2, function(pair) {
    both <- na.omit(holes[pair])
    lavCor(both, ordered = pair)[2, 1]
  }))

for (case in names(CASES))
  write(toJSON(CASES[[case]], digits = NA, na = "null", auto_unbox = TRUE), file.path(OUT, paste0("ordinal_", case, ".json")))
for (pair in list(c("c", "d"), c("c", "f"), c("d", "f"))) print(table(sparse[pair]))
print(table(sparse[c("a", "b")]))
writeLines(capture.output(sessionInfo()), file.path(OUT, "ordinal_sessionInfo.txt"))
